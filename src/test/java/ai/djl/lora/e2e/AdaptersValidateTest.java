/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

/** {@code adapters validate} and its exit codes, on golden adapters and on spoiled copies. */
public class AdaptersValidateTest {

    private static final String QUERY = "base_model.model.model.layers.0.self_attn.q_proj.";
    private static final String UNKNOWN = "base_model.model.model.layers.7.self_attn.q_proj.";

    @Test
    public void testFull() {
        Execution run = validate("llama", AdapterCopy.original("llama", "lora")).assertExitCode(0);
        Assert.assertEquals(run.err(), "");
        Assert.assertTrue(run.out().contains("compatibility  full, accepted"), run.out());
        Assert.assertTrue(
                run.out().contains("model.layers.1.mlp.down_proj     LoRA     4     2"), run.out());
    }

    @Test
    public void testJson() {
        JsonObject report =
                json(
                        validate("llama", AdapterCopy.original("llama", "rslora"), "--json")
                                .assertExitCode(0));
        Assert.assertTrue(
                report.keySet()
                        .containsAll(
                                Set.of(
                                        "compatibility",
                                        "score",
                                        "revision",
                                        "modules",
                                        "applied",
                                        "ignored",
                                        "missing",
                                        "issues")),
                report.keySet().toString());
        Assert.assertEquals(report.get("compatibility").getAsString(), "full");
        // less 0.02 for the name of the base model, which is another than this folder's
        Assert.assertEquals(report.get("score").getAsDouble(), 0.98);
        Assert.assertEquals(codes(report), List.of("config-base-model"));
        Assert.assertTrue(report.get("revision").getAsString().matches("[0-9a-f]{64}"));
        JsonObject module = report.getAsJsonArray("modules").get(0).getAsJsonObject();
        Assert.assertEquals(
                module.keySet(), Set.of("name", "variant", "rank", "scale", "dtype", "bytes"));
        Assert.assertEquals(
                module.get("name").getAsString(),
                report.getAsJsonArray("applied").get(0).getAsString());
        Assert.assertEquals(report.getAsJsonArray("ignored").size(), 0);
        Assert.assertEquals(report.getAsJsonArray("missing").size(), 0);
    }

    @Test
    public void testPartial() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            copy.rename(QUERY + "lora_A.weight", UNKNOWN + "lora_A.weight")
                    .rename(QUERY + "lora_B.weight", UNKNOWN + "lora_B.weight");
            Execution run = validate("llama", copy.folder(), "--json").assertExitCode(3);
            JsonObject report = json(run);
            Assert.assertEquals(report.get("compatibility").getAsString(), "partial");
            Assert.assertFalse(report.get("accepted").getAsBoolean());
            Assert.assertEquals(texts(report, "ignored").size(), 2, run.out());
            Assert.assertEquals(
                    texts(report, "missing"), List.of("model.layers.0.self_attn.q_proj"));

            String[] allowed = {
                "--allow-unused",
                "model\\.layers\\.7\\..*",
                "--allow-missing",
                "model\\.layers\\.0\\.self_attn\\.q_proj",
                "--json"
            };
            report = json(validate("llama", copy.folder(), allowed).assertExitCode(3));
            Assert.assertTrue(report.get("accepted").getAsBoolean());
            Assert.assertEquals(report.get("compatibility").getAsString(), "partial");
        }
    }

    @Test
    public void testNone() {
        Execution run =
                validate("qwen2", AdapterCopy.original("llama", "lora"), "--json")
                        .assertExitCode(4);
        JsonObject report = json(run);
        Assert.assertEquals(report.get("compatibility").getAsString(), "none");
        Assert.assertEquals(report.get("score").getAsDouble(), 0.0);
        for (JsonElement issue : report.getAsJsonArray("issues")) {
            Assert.assertEquals(
                    issue.getAsJsonObject().keySet(), Set.of("severity", "code", "message"));
        }
        Assert.assertEquals(Set.copyOf(errors(report)), Set.of("tensor-shape"));
    }

    @Test
    public void testAnUnsupportedKindIsNone() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            copy.edit(config -> config.addProperty("peft_type", "OFT"));
            JsonObject report = json(validate("llama", copy.folder(), "--json").assertExitCode(4));
            Assert.assertEquals(errors(report), List.of("variant-unsupported"));
        }
    }

    @Test
    public void testUnreadable() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            assertUnreadable(validate("llama", copy.beside("nothing")), "nothing");
            TestTensors.truncate(copy.weights(), 1);
            assertUnreadable(validate("llama", copy.folder()), "adapter_model.safetensors");
            assertUnreadable(validate("llama", copy.folder(), "--json"), "safetensors");
            Files.delete(copy.weights());
            assertUnreadable(validate("llama", copy.folder()), "adapter_model");
        }
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Files.writeString(copy.folder().resolve("adapter_config.json"), "{");
            assertUnreadable(validate("llama", copy.folder()), "adapter_config.json");
        }
    }

    @Test
    public void testUnreadableModel() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Execution run =
                    Execution.inProcess(
                            "adapters", "validate", "--model", copy.folder(), copy.folder());
            assertUnreadable(run, "config.json");
        }
    }

    @Test
    public void testExpectedRevision() {
        Path adapter = AdapterCopy.original("llama", "lora");
        String revision = json(validate("llama", adapter, "--json")).get("revision").getAsString();
        validate("llama", adapter, "--expect-revision", revision).assertExitCode(0);
        String other = "0".repeat(64);
        JsonObject report =
                json(
                        validate("llama", adapter, "--expect-revision", other, "--json")
                                .assertExitCode(4));
        Assert.assertEquals(errors(report), List.of("revision-mismatch"));
        Execution wrong = validate("llama", adapter, "--expect-revision", "abc").assertExitCode(2);
        Assert.assertTrue(wrong.err().contains("'--expect-revision'"), wrong.err());
    }

    @Test
    public void testWrongPattern() {
        Execution run =
                validate("llama", AdapterCopy.original("llama", "lora"), "--allow-unused", "a(");
        run.assertExitCode(2);
        Assert.assertTrue(run.err().contains("\"a(\" is no regular expression"), run.err());
        Assert.assertEquals(run.err().lines().count(), 1, run.err());
    }

    @Test
    public void testAgainst() {
        Path adapter = AdapterCopy.original("llama", "lora");
        Path own = AdapterCopy.golden("llama", "lora");
        Execution run = validate("llama", adapter, "--against", own.toString()).assertExitCode(0);
        Assert.assertTrue(run.out().contains("within the tolerance"), run.out());

        Path other = AdapterCopy.golden("llama", "base");
        JsonObject report =
                json(
                        validate("llama", adapter, "--json", "--against", other.toString())
                                .assertExitCode(4));
        Assert.assertEquals(errors(report), List.of("golden"));
        Assert.assertEquals(report.get("compatibility").getAsString(), "none");

        Path foreign = AdapterCopy.golden("qwen2", "lora");
        assertUnreadable(
                validate("llama", adapter, "--against", foreign.toString()), "logits has shape");
    }

    /** Without the second layer's adapter the model still runs, and answers otherwise. */
    @Test
    public void testAgainstRunsWhatThePolicyAccepts() throws IOException {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            copy.rename(QUERY + "lora_A.weight", UNKNOWN + "lora_A.weight")
                    .rename(QUERY + "lora_B.weight", UNKNOWN + "lora_B.weight");
            JsonObject report =
                    json(
                            validate(
                                            "llama",
                                            copy.folder(),
                                            "--json",
                                            "--allow-unused",
                                            ".*",
                                            "--allow-missing",
                                            ".*",
                                            "--against",
                                            AdapterCopy.golden("llama", "lora").toString())
                                    .assertExitCode(4));
            Assert.assertEquals(errors(report), List.of("golden"));
        }
    }

    @Test
    public void testAgainstIsNotRunForARefusedAdapter() {
        Path golden = AdapterCopy.golden("qwen2", "lora");
        Execution run =
                validate(
                        "qwen2",
                        AdapterCopy.original("llama", "lora"),
                        "--against",
                        golden.toString());
        run.assertExitCode(4);
        Assert.assertTrue(run.out().contains("not run, the adapter is refused"), run.out());
    }

    private static Execution validate(String architecture, Path adapter, String... options) {
        List<Object> args = new ArrayList<>(List.of("adapters", "validate", "--model"));
        args.add(AdapterCopy.base(architecture));
        args.add(adapter);
        args.addAll(List.of(options));
        return Execution.inProcess(args.toArray());
    }

    private static JsonObject json(Execution run) {
        return JsonParser.parseString(run.out()).getAsJsonObject();
    }

    private static List<String> texts(JsonObject report, String field) {
        return report.getAsJsonArray(field).asList().stream()
                .map(JsonElement::getAsString)
                .toList();
    }

    private static List<String> codes(JsonObject report) {
        return report.getAsJsonArray("issues").asList().stream()
                .map(issue -> issue.getAsJsonObject().get("code").getAsString())
                .toList();
    }

    private static List<String> errors(JsonObject report) {
        return report.getAsJsonArray("issues").asList().stream()
                .map(JsonElement::getAsJsonObject)
                .filter(issue -> "error".equals(issue.get("severity").getAsString()))
                .map(issue -> issue.get("code").getAsString())
                .toList();
    }

    private static void assertUnreadable(Execution run, String named) {
        run.assertExitCode(2);
        Assert.assertEquals(run.out(), "");
        Assert.assertEquals(run.err().lines().count(), 1, run.err());
        Assert.assertTrue(run.err().startsWith("djl-lora: "), run.err());
        Assert.assertTrue(run.err().contains(named), run.err());
    }
}
