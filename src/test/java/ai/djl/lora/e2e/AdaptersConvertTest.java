/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** {@code adapters convert}: to a packed file, which every command reads, and back. */
public class AdaptersConvertTest {

    @DataProvider
    public Object[][] adapters() {
        return new Object[][] {
            {"llama", "lora"},
            {"llama", "dora-rank-pattern"},
            {"llama", "vera"},
            {"llama", "prefix"},
            {"qwen2", "trainable-tokens"},
            {"qwen2", "modules-to-save-tied"},
        };
    }

    @Test(dataProvider = "adapters")
    public void testPackedAdapterAnswersAsTheFolderDoes(String architecture, String adapter)
            throws IOException {
        try (AdapterCopy copy = new AdapterCopy(architecture, adapter)) {
            Path packed = copy.beside("adapter.djlora");
            Execution run =
                    Execution.inProcess("adapters", "convert", copy.folder(), packed)
                            .assertExitCode(0);
            Assert.assertTrue(run.out().contains("form           packed"), run.out());
            Assert.assertEquals(run.err(), "");
            Execution.inProcess(
                            "adapters",
                            "validate",
                            "--model",
                            AdapterCopy.base(architecture),
                            "--against",
                            AdapterCopy.golden(architecture, adapter),
                            packed)
                    .assertExitCode(0);
            Execution.inProcess("adapters", "diff", copy.folder(), packed).assertExitCode(0);
            Path back = copy.beside("back");
            Execution.inProcess("adapters", "convert", packed, back).assertExitCode(0);
            Assert.assertEquals(
                    Files.mismatch(copy.weights(), back.resolve("adapter_model.safetensors")), -1);
        }
    }

    @Test
    public void testGgufNeedsItsModel() throws IOException {
        Path gguf = AdapterCopy.VARIANTS.resolve("formats/gguf/llama-lora-f32.gguf");
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("converted");
            Execution run =
                    Execution.inProcess("adapters", "convert", gguf, target).assertExitCode(2);
            Assert.assertTrue(run.err().contains("base model's numbers of heads"), run.err());
            Execution.inProcess(
                            "adapters",
                            "convert",
                            "--model",
                            AdapterCopy.base("llama"),
                            gguf,
                            target)
                    .assertExitCode(0);
            Assert.assertEquals(
                    Files.mismatch(copy.weights(), target.resolve("adapter_model.safetensors")),
                    -1);
        }
    }

    @Test
    public void testNothingIsOverwrittenUnlessAsked() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("there.djlora");
            Files.writeString(target, "precious");
            Execution run = convert(copy, target).assertExitCode(2);
            Assert.assertEquals(
                    run.err(),
                    "djl-lora: "
                            + target
                            + ": is there already; it is replaced with --force alone"
                            + System.lineSeparator());
            Assert.assertEquals(Files.readString(target), "precious");
            convert(copy, target, "--force").assertExitCode(0);
            Assert.assertTrue(Files.size(target) > 15_616);
        }
    }

    @Test
    public void testWhatStaysBehindIsNamed() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Files.writeString(copy.folder().resolve("tokenizer.json"), "{}");
            Execution run = convert(copy, copy.beside("a.djlora")).assertExitCode(0);
            Assert.assertTrue(run.out().contains("not converted  tokenizer.json"), run.out());
        }
    }

    @Test
    public void testBadInput() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("out.djlora");
            Execution form = convert(copy, target, "--to", "zip").assertExitCode(2);
            Assert.assertTrue(
                    form.err().contains("\"zip\" is neither packed nor peft"), form.err());
            Execution other =
                    convert(copy, target, "--model", AdapterCopy.base("qwen2").toString())
                            .assertExitCode(2);
            Assert.assertTrue(other.err().contains("has the shape"), other.err());
            convert(copy, target).assertExitCode(0);
            byte[] data = Files.readAllBytes(target);
            data[data.length / 2] ^= 1;
            Files.write(target, data);
            for (String command : new String[] {"inspect", "validate", "convert"}) {
                Object[] args =
                        switch (command) {
                            case "inspect" -> new Object[] {"adapters", command, target};
                            case "validate" ->
                                    new Object[] {
                                        "adapters",
                                        command,
                                        "--model",
                                        AdapterCopy.base("llama"),
                                        target
                                    };
                            default ->
                                    new Object[] {"adapters", command, target, copy.beside("back")};
                        };
                Execution run = Execution.inProcess(args).assertExitCode(2);
                Assert.assertTrue(run.err().contains("is not what was written"), run.err());
                Assert.assertEquals(run.err().lines().count(), 1, run.err());
            }
            Assert.assertFalse(Files.exists(copy.beside("back")));
        }
    }

    private static Execution convert(AdapterCopy copy, Path target, String... options) {
        Object[] args = new Object[4 + options.length];
        args[0] = "adapters";
        args[1] = "convert";
        args[2] = copy.folder();
        args[3] = target;
        System.arraycopy(options, 0, args, 4, options.length);
        return Execution.inProcess(args);
    }
}
