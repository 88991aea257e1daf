/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** A merged checkpoint answers as PEFT does with the adapter. */
public class AdaptersMergeTest {

    @DataProvider
    public Object[][] merged() {
        List<Object[]> cases = new ArrayList<>();
        for (String architecture : new String[] {"llama", "qwen2"}) {
            for (String adapter :
                    new String[] {
                        "lora",
                        "rslora",
                        "dora",
                        "dora-bias",
                        "bias-all",
                        "adalora-resized",
                        "ia3-all",
                        "vera",
                        "loha",
                        "lokr",
                        "pissa",
                        "lora-embedding",
                        "lora-head",
                        "trainable-tokens",
                        "modules-to-save-norm",
                        "modules-to-save-linear",
                        "modules-to-save-embedding",
                        "modules-to-save-tied",
                    }) {
                cases.add(new Object[] {architecture, adapter});
            }
        }
        // Qwen2's feed-forward layers cannot have the biases
        cases.add(new Object[] {"llama", "lora-bias"});
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "merged")
    public void testAnswersAsTheAdapterDoes(String architecture, String adapter)
            throws IOException {
        try (AdapterCopy copy = new AdapterCopy(architecture, adapter)) {
            Path target = copy.beside("merged");
            Execution run = merge(architecture, copy.folder(), target).assertExitCode(0);
            Assert.assertTrue(run.out().contains("revision "), run.out());
            // exit code 0 is a largest difference of 1e-4 in float32
            verify(architecture, adapter, target).assertExitCode(0);
        }
    }

    @Test
    public void testBfloat16() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("merged");
            merge("llama", copy.folder(), target, "--dtype", "bfloat16").assertExitCode(0);
            // weights of 8 bits cannot answer within 1e-4; the logits are of the order of 1
            verify("llama", "lora", target).assertExitCode(1);
            verify("llama", "lora", target, "--tolerance", "0.2").assertExitCode(0);
            Assert.assertTrue(
                    Files.readString(target.resolve("config.json"))
                            .contains("\"dtype\": \"bfloat16\""));
        }
    }

    @DataProvider
    public Object[][] refused() {
        return new Object[][] {
            {"llama", "prompt", "virtual tokens (prompt tuning or P-tuning), which cannot"},
            {"llama", "ptuning", "virtual tokens (prompt tuning or P-tuning), which cannot"},
            {"llama", "prefix", "a prefix of keys and values (prefix tuning), which cannot"},
            {"llama", "alora", "invocation tokens (activated LoRA), before which it does not act"},
            {"qwen2", "lora-bias", "a bias, which this model's architecture has not"},
        };
    }

    @Test(dataProvider = "refused")
    public void testWhatIsMoreThanWeightsIsRefused(
            String architecture, String adapter, String message) throws IOException {
        try (AdapterCopy copy = new AdapterCopy(architecture, adapter)) {
            Path target = copy.beside("merged");
            Execution run = merge(architecture, copy.folder(), target).assertExitCode(2);
            Assert.assertTrue(run.err().contains(message), run.err());
            Assert.assertEquals(run.err().lines().count(), 1, run.err());
            Assert.assertFalse(Files.exists(target));
        }
    }

    @Test
    public void testAnAdapterOfAnotherModelIsRefused() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("merged");
            merge("qwen2", copy.folder(), target).assertExitCode(2);
            Assert.assertFalse(Files.exists(target));
        }
    }

    @Test
    public void testNothingIsOverwrittenUnlessAsked() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path target = copy.beside("merged");
            merge("llama", copy.folder(), target).assertExitCode(0);
            Execution again = merge("llama", copy.folder(), target).assertExitCode(2);
            Assert.assertTrue(again.err().contains("--force"), again.err());
            Path rslora = AdapterCopy.original("llama", "rslora");
            merge("llama", rslora, target, "--force").assertExitCode(0);
            verify("llama", "rslora", target).assertExitCode(0);
            // a folder that is no checkpoint is not deleted, whoever asks
            Execution foreign =
                    merge("llama", copy.folder(), copy.folder(), "--force").assertExitCode(2);
            Assert.assertTrue(foreign.err().contains("is no folder with config.json"));
            Assert.assertTrue(Files.exists(copy.weights()));
        }
    }

    @Test
    public void testUnknownType() {
        Execution run =
                merge(
                                "llama",
                                AdapterCopy.original("llama", "lora"),
                                Path.of("none"),
                                "--dtype",
                                "int8")
                        .assertExitCode(2);
        Assert.assertTrue(
                run.err().contains("\"int8\" is none of auto, float32, float16, bfloat16"),
                run.err());
    }

    private static Execution merge(
            String architecture, Path adapter, Path target, String... options) {
        List<Object> args = new ArrayList<>(List.of("adapters", "merge", "--model"));
        args.addAll(List.of(AdapterCopy.base(architecture), adapter, target));
        args.addAll(Arrays.asList(options));
        return Execution.inProcess(args.toArray());
    }

    private static Execution verify(
            String architecture, String adapter, Path model, String... options) {
        List<Object> args = new ArrayList<>(List.of("verify", "--model", model, "--golden"));
        args.add(AdapterCopy.golden(architecture, adapter));
        args.addAll(Arrays.asList(options));
        return Execution.inProcess(args.toArray());
    }
}
