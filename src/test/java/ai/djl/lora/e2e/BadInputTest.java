/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/**
 * Whatever is wrong with the input, the command line says it in one line and ends with 2.
 *
 * <p>Everything runs in this JVM: a crash of it would fail the tests as well.
 */
public class BadInputTest {

    /** What llama2's config.json says. */
    private static final int VOCABULARY = 96;

    private static final long[] IDS = {1, 2};
    private static final long[] LOGITS = {1, 2, VOCABULARY};
    private static final String[] VERIFY = {
        "verify", "--model", "@/llama2/model", "--golden", "@/llama2/golden.safetensors"
    };
    private static final String[] VERIFY_ADAPTER = {
        "verify",
        "--model",
        "@/llama2/model",
        "--adapter",
        "@/llama2/adapter",
        "--golden",
        "@/llama2/golden-adapter.safetensors"
    };
    private static final String[] GENERATE = {
        "generate", "--model", "@/demo", "--input", "@/prompts.jsonl"
    };

    private Path folder;

    @BeforeMethod
    public void copyModels() throws IOException {
        folder = Files.createTempDirectory("bad-input");
        copy(Repository.GOLDENS.resolve("llama2"), folder.resolve("llama2"));
        copy(Repository.GOLDENS.resolve("qwen3"), folder.resolve("qwen3"));
        copy(Repository.DEMO.resolve("base"), folder.resolve("demo"));
        Files.writeString(folder.resolve("prompts.jsonl"), "{\"prompt\": \"hello=\"}\n");
    }

    @AfterMethod(alwaysRun = true)
    public void deleteModels() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** What each edit breaks is whole before it. */
    @Test
    public void testWithoutEdit() {
        for (String[] args : new String[][] {VERIFY, VERIFY_ADAPTER, GENERATE}) {
            run(args).assertExitCode(0);
        }
    }

    @Test(dataProvider = "goldens")
    public void testGolden(String name, Edit edit, String message) throws IOException {
        edit.apply(folder.resolve("llama2/golden.safetensors"));
        assertRefused(run(VERIFY), "golden.safetensors", message);
    }

    @DataProvider
    public Object[][] goldens() {
        return new Object[][] {
            row("missing", Files::delete, "there is no such file"),
            row("a folder", BadInputTest::makeFolder, "found a directory"),
            row("truncated", f -> TestTensors.truncate(f, 5), "logits"),
            row("empty", f -> Files.write(f, new byte[0]), "has 0 bytes"),
            row("header too long", f -> lie(f, 1L << 60), "1152921504606846976"),
            row("header of negative length", f -> lie(f, -1), "header's length"),
            row("header beyond the end", f -> lie(f, 1 << 20), "header's length is 1048576"),
            row("header is not JSON", f -> TestTensors.write(f, "{]", new byte[8]), "header"),
            row("data beyond the end", f -> header(f, "[1,1,2]", 0, 8, 4), "logits"),
            row("data overlaps the header", f -> header(f, "[1,1,2]", -8, 0, 8), "logits"),
            row("shape and offsets disagree", f -> header(f, "[1,1,3]", 0, 8, 8), "logits"),
            row("shape overflows", f -> header(f, "[4294967296,4294967296]", 0, 0, 0), "logits"),
            row("no logits", f -> ids().write(f), "logits"),
            row("no ids", f -> new TestTensors().floats("logits", LOGITS, 0).write(f), "input_ids"),
            row(
                    "a mask beside them",
                    f -> golden().longs("attention_mask", IDS, 1, 1).write(f),
                    "tensor \"attention_mask\" is not used; expected input_ids and logits alone"),
            row(
                    "ids are floats",
                    f ->
                            new TestTensors()
                                    .floats("input_ids", IDS, 1)
                                    .floats("logits", LOGITS, 0)
                                    .write(f),
                    "input_ids is of type F32; expected I64 or I32"),
            row(
                    "logits are integers",
                    f -> ids().longs("logits", new long[] {1, 2, 1}, 0, 0).write(f),
                    "logits is of type I64; expected F32"),
            row(
                    "ids of one dimension",
                    f ->
                            new TestTensors()
                                    .longs("input_ids", new long[] {2}, 1, 2)
                                    .floats("logits", LOGITS, 0)
                                    .write(f),
                    "input_ids has shape [2]; expected 2 dimensions"),
            row(
                    "shapes disagree",
                    f -> ids().floats("logits", new long[] {1, 3, VOCABULARY}, 0).write(f),
                    "logits has shape [1, 3, 96] and input_ids [1, 2]; expected the same batch"),
            row(
                    "another vocabulary",
                    f -> ids().floats("logits", new long[] {1, 2, 7}, 0).write(f),
                    "logits has shape [1, 2, 7]; expected 96 logits at each position"),
            row(
                    "a wrong token",
                    f ->
                            new TestTensors()
                                    .longs("input_ids", IDS, 1, VOCABULARY)
                                    .floats("logits", LOGITS, 0)
                                    .write(f),
                    "input_ids[0, 1] is 96; expected 0 to 95, the model's vocabulary"),
            row(
                    "a token beyond 32 bits",
                    f ->
                            new TestTensors()
                                    .longs("input_ids", IDS, 1L << 32, 1)
                                    .floats("logits", LOGITS, 0)
                                    .write(f),
                    "input_ids[0, 0] is 4294967296; expected 0 to 95"),
            row(
                    "a negative token",
                    f ->
                            new TestTensors()
                                    .longs("input_ids", IDS, -1, 1)
                                    .floats("logits", LOGITS, 0)
                                    .write(f),
                    "input_ids[0, 0] is -1; expected 0 to 95"),
            row(
                    "longer than the model's positions",
                    f ->
                            new TestTensors()
                                    .longs("input_ids", new long[] {1, 129}, new long[129])
                                    .floats("logits", new long[] {1, 129, VOCABULARY}, 0)
                                    .write(f),
                    "input_ids has shape [1, 129]; expected at most 128 tokens a row"),
            row(
                    "not a number",
                    f -> ids().floats("logits", LOGITS, Float.NaN).write(f),
                    "logits[0, 0, 0] is NaN; expected finite values"),
        };
    }

    @Test(dataProvider = "models")
    public void testModel(String name, String file, Edit edit, String message) throws IOException {
        edit.apply(folder.resolve("llama2/model").resolve(file));
        assertRefused(run(VERIFY), folder.resolve("llama2/model").toString(), message);
    }

    @DataProvider
    public Object[][] models() {
        String weights = "model.safetensors";
        String config = "config.json";
        return new Object[][] {
            row("no configuration", config, Files::delete, "config.json"),
            row("configuration is not JSON", config, f -> Files.writeString(f, "{"), ""),
            row(
                    "another architecture",
                    config,
                    f -> replace(f, "\"model_type\": \"llama\"", "\"model_type\": \"gpt2\""),
                    "gpt2"),
            row(
                    "a negative size",
                    config,
                    f -> replace(f, "\"hidden_size\": 64", "\"hidden_size\": -64"),
                    "hidden_size"),
            row(
                    "heads that do not divide",
                    config,
                    f -> replace(f, "\"num_key_value_heads\": ", "\"num_key_value_heads\": 3"),
                    "num_key_value_heads"),
            row(
                    "another hidden size",
                    config,
                    f -> replace(f, "\"intermediate_size\": 1", "\"intermediate_size\": 2"),
                    "mlp.gate_proj.weight has shape [112, 64]; expected [212, 64]"),
            row("no weights", weights, Files::delete, ""),
            row("truncated weights", weights, f -> TestTensors.truncate(f, 1), ""),
            row(
                    "a missing weight",
                    weights,
                    f ->
                            TestTensors.editHeader(
                                    f, h -> h.replace("model.norm.weight", "model.norm.other")),
                    "model.norm"),
            row(
                    "a weight of another type",
                    weights,
                    f ->
                            TestTensors.editHeader(
                                    f,
                                    h -> h.replaceFirst("\"dtype\":\"\\w+\"", "\"dtype\":\"X9\"")),
                    "X9"),
        };
    }

    @Test
    public void testMissingShard() throws IOException {
        Files.delete(folder.resolve("qwen3/model/model-00002-of-00003.safetensors"));
        assertRefused(
                run("verify", "--model", "@/qwen3/model", "--golden", "@/qwen3/golden.safetensors"),
                "model-00002-of-00003.safetensors",
                "");
    }

    @Test
    public void testMissingFolder() {
        assertRefused(
                run("verify", "--model", "@/none", "--golden", "@/llama2/golden.safetensors"),
                "none: no such folder; expected a model in Hugging Face layout",
                "");
        assertRefused(
                run("generate", "--model", "djl-lora://none", "--input", "@/prompts.jsonl"),
                "djl-lora://none",
                "");
    }

    @Test(dataProvider = "adapters")
    public void testAdapter(String name, String file, Edit edit, String message)
            throws IOException {
        edit.apply(folder.resolve("llama2/adapter").resolve(file));
        assertRefused(run(VERIFY_ADAPTER), "adapter", message);
    }

    @DataProvider
    public Object[][] adapters() {
        String weights = "adapter_model.safetensors";
        String config = "adapter_config.json";
        String first = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
        return new Object[][] {
            row("no configuration", config, Files::delete, config),
            row("configuration is not JSON", config, f -> Files.writeString(f, "[1"), config),
            row(
                    "unsupported kind",
                    config,
                    f -> replace(f, "\"peft_type\": \"LORA\"", "\"peft_type\": \"BOFT\""),
                    "BOFT"),
            row(
                    "unsupported variant",
                    config,
                    f -> replace(f, "\"use_qalora\": false", "\"use_qalora\": true"),
                    "use_qalora"),
            row(
                    "a variant whose tensors are missing",
                    config,
                    f -> replace(f, "\"use_dora\": false", "\"use_dora\": true"),
                    "lora_magnitude_vector"),
            row("rank zero", config, f -> replace(f, "\"r\": 4", "\"r\": 0"), "r"),
            row("another rank", config, f -> replace(f, "\"r\": 4", "\"r\": 5"), "5"),
            row(
                    "alpha is text",
                    config,
                    f -> replace(f, "alpha\": 8", "alpha\": \"x\""),
                    "lora_alpha"),
            row("unknown modules", config, f -> replace(f, "\"q_proj\"", "\"qkv_proj\""), "q_proj"),
            row("no weights", weights, Files::delete, weights),
            row("truncated weights", weights, f -> TestTensors.truncate(f, 1), weights),
            row("header too long", weights, f -> lie(f, 1L << 40), weights),
            row(
                    "an unused tensor",
                    weights,
                    f -> TestTensors.editHeader(f, h -> h.replace(first, "something.else")),
                    "something.else"),
            row(
                    "a layer that the model lacks",
                    weights,
                    f -> TestTensors.editHeader(f, h -> h.replace("layers.1.", "layers.7.")),
                    "layers.7."),
            row(
                    "another shape of the same size",
                    weights,
                    f -> TestTensors.editHeader(f, h -> h.replace("[4,64]", "[64,4]")),
                    "[64, 4]"),
            row("not a number", weights, f -> poison(f), ""),
        };
    }

    @Test
    public void testAdapterOfAnotherModel() {
        Execution run =
                run(
                        "verify",
                        "--model",
                        "@/llama2/model",
                        "--adapter",
                        "@/qwen3/adapter",
                        "--golden",
                        "@/llama2/golden-adapter.safetensors");
        assertRefused(run, "qwen3", "");
    }

    @Test
    public void testMissingAdapter() {
        assertRefused(run(concat(GENERATE, "--adapter", "a=@/no-adapter")), "no-adapter", "");
    }

    @Test(dataProvider = "prompts")
    public void testPrompt(String name, String text, String message) throws IOException {
        Files.writeString(folder.resolve("prompts.jsonl"), text);
        assertRefused(run(GENERATE), "prompts.jsonl", message);
    }

    @DataProvider
    public Object[][] prompts() {
        String right = "{\"prompt\": \"hello=\"}\n";
        return new Object[][] {
            {"none", "\n\n", "has no prompts"},
            {"empty", right + "{\"prompt\": \"\"}", "line 2: field \"prompt\" is empty"},
            {
                "too long",
                right + "\n{\"prompt\": \"" + "a".repeat(5000) + "\"}",
                "line 3: promptTokens has 5001 tokens"
            },
            {
                "unknown adapter",
                right + "{\"prompt\": \"a\", \"adapter\": \"none\"}",
                "line 2: Unknown adapter \"none\""
            },
            {"half a character", right + "{\"prompt\": \"\\ud800\"}", "line 2: field \"prompt\""},
            {"not JSON", right + right + "hello\n", "line 3: is not a JSON object"},
        };
    }

    @Test
    public void testTokenizer() throws IOException {
        Path tokenizer = folder.resolve("demo/tokenizer.json");
        Files.writeString(tokenizer, "{}");
        assertRefused(run(GENERATE), "tokenizer.json", "is not a Hugging Face tokenizer");
        Files.delete(tokenizer);
        assertRefused(run(GENERATE), "tokenizer.json", "");
    }

    @Test
    public void testBackend() {
        assertRefused(
                run(concat(GENERATE, "--backend", "abacus")), "abacus", "cpu, cuda, jit, pytorch");
        assertRefused(run(concat(GENERATE, "--adapter-dtype", "int4")), "int4", "model, int8");
    }

    @Test
    public void testResidency() throws IOException {
        String[] generate = concat(GENERATE, "--residency", "@/residency.yaml");
        assertRefused(run(generate), "residency.yaml", "cannot be read");
        Path file = folder.resolve("residency.yaml");
        Files.writeString(file, "device:\n  adapters: 0\nwarm: true\n");
        assertRefused(run(generate), "residency.yaml:2: device.adapters is \"0\"", "; 1 more");
        Files.writeString(file, "watch: {directory: nothing}\n");
        assertRefused(run(generate), "nothing", "the directory to watch does not exist");
        Files.writeString(file, "registry: {directory: residency.yaml}\n");
        assertRefused(run(generate), "residency.yaml", "");
        Files.writeString(file, "adapters:\n- {name: a, source: nothing}\n");
        assertRefused(run(generate), "nothing", "there is no such file or directory");
        Files.delete(file);
    }

    private Execution run(String... args) {
        return Execution.inProcess(
                Arrays.stream(args).map(arg -> arg.replace("@", folder.toString())).toArray());
    }

    private static void assertRefused(Execution run, String thing, String message) {
        run.assertExitCode(2);
        Assert.assertEquals(run.out(), "");
        Assert.assertEquals(run.err().lines().count(), 1, run.err());
        Assert.assertTrue(run.err().startsWith("djl-lora: "), run.err());
        Assert.assertTrue(run.err().contains(thing), run.err());
        Assert.assertTrue(run.err().contains(message), run.err());
    }

    private static Object[] row(String name, Edit edit, String message) {
        return new Object[] {name, edit, message};
    }

    private static Object[] row(String name, String file, Edit edit, String message) {
        return new Object[] {name, file, edit, message};
    }

    private static String[] concat(String[] args, String... more) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private static TestTensors ids() {
        return new TestTensors().longs("input_ids", IDS, 1, 2);
    }

    private static TestTensors golden() {
        return ids().floats("logits", LOGITS, 0);
    }

    private static void makeFolder(Path file) throws IOException {
        Files.delete(file);
        Files.createDirectory(file);
    }

    /** Makes a file's header claim another length. */
    private static void lie(Path file, long length) throws IOException {
        byte[] content = Files.readAllBytes(file);
        ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
        Files.write(file, content);
    }

    /** Writes a file of one tensor, logits, whose header claims what it likes. */
    private static void header(Path file, String shape, long start, long end, int bytes)
            throws IOException {
        String header =
                String.format(
                        "{\"logits\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%d,%d]}}",
                        shape, start, end);
        TestTensors.write(file, header, new byte[bytes]);
    }

    /** Writes a float32 NaN at a file's end. */
    private static void poison(Path file) throws IOException {
        byte[] content = Files.readAllBytes(file);
        ByteBuffer.wrap(content)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(content.length - Float.BYTES, Float.NaN);
        Files.write(file, content);
    }

    private static void replace(Path file, String old, String text) throws IOException {
        String content = Files.readString(file, StandardCharsets.UTF_8);
        Assert.assertTrue(content.contains(old), content);
        Files.writeString(file, content.replace(old, text));
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
        }
    }

    /** Breaks a file. */
    @FunctionalInterface
    private interface Edit {

        void apply(Path file) throws IOException;
    }
}
