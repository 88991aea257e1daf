/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Batches of text through the command line, on the demo model. */
public class GenerateTest {

    private static final Path HELD_OUT =
            Repository.ROOT.resolve("src/test/resources/demo/held-out.jsonl");

    /** Words that training never saw, of every adapter and the base, mixed in one batch. */
    @Test
    public void testHeldOutWords() throws IOException {
        List<JsonObject> lines = new ArrayList<>();
        for (String line : Files.readAllLines(HELD_OUT)) {
            lines.add(JsonParser.parseString(line).getAsJsonObject());
        }
        Collections.shuffle(lines, new Random(7));
        Path input = Files.createTempFile("held-out", ".jsonl");
        try {
            for (JsonObject line : lines) {
                JsonObject prompt = new JsonObject();
                prompt.add("prompt", line.get("prompt"));
                prompt.add("adapter", line.get("adapter"));
                Files.writeString(input, prompt + "\n", StandardOpenOption.APPEND);
            }
            List<JsonObject> answers = generate("pytorch", input);
            assertAnswers(lines, answers);
            if (LoraLibrary.isAvailable()) {
                // The two backends order their sums differently; no word is so close a call.
                Assert.assertEquals(generate("cpu", input), answers);
            }
        } finally {
            Files.delete(input);
        }
    }

    /** Two halves of one adapter are that adapter, beside it in one batch. */
    @Test
    public void testStack() throws IOException {
        Path input = Files.createTempFile("stack", ".jsonl");
        try {
            Files.writeString(
                    input,
                    """
                    {"prompt": "hello=", "adapter": "halves"}
                    {"prompt": "hello=", "adapter": "a"}
                    {"prompt": "hello="}
                    """);
            Path upper = Repository.ROOT.resolve("examples/demo/upper");
            Execution execution =
                    Execution.inProcess(
                            "generate",
                            "--model",
                            Repository.ROOT.resolve("examples/demo/base"),
                            "--adapter",
                            "a=" + upper,
                            "--adapter",
                            "b=" + upper,
                            "--stack",
                            "halves=a:0.5,b:0.5",
                            "--json",
                            "--input",
                            input);
            execution.assertExitCode(0);
            List<String> texts =
                    execution
                            .out()
                            .lines()
                            .map(line -> JsonParser.parseString(line).getAsJsonObject())
                            .map(line -> line.get("text").getAsString())
                            .toList();
            Assert.assertEquals(texts, List.of("HELLO", "HELLO", "hello"));
        } finally {
            Files.delete(input);
        }
    }

    private static void assertAnswers(List<JsonObject> lines, List<JsonObject> answers) {
        Assert.assertEquals(answers.size(), lines.size());
        Map<String, int[]> counts = new HashMap<>();
        for (int i = 0; i < lines.size(); ++i) {
            JsonObject line = lines.get(i);
            JsonObject answer = answers.get(i);
            String adapter = line.get("adapter").getAsString();
            String prompt = line.get("prompt").getAsString();
            Assert.assertEquals(
                    Tasks.answer(adapter, prompt.substring(0, prompt.length() - 1)),
                    line.get("expected").getAsString(),
                    "the test's own oracle");
            Assert.assertEquals(
                    answer.keySet(), Set.of("index", "adapter", "text", "tokens", "finish_reason"));
            Assert.assertEquals(answer.get("index").getAsInt(), i);
            Assert.assertEquals(answer.get("adapter").getAsString(), adapter);
            int[] count = counts.computeIfAbsent(adapter, name -> new int[2]);
            ++count[0];
            if (answer.get("text").equals(line.get("expected"))) {
                ++count[1];
                Assert.assertEquals(answer.get("finish_reason").getAsString(), "stop");
                // One token a character, and the end of text.
                Assert.assertEquals(
                        answer.get("tokens").getAsJsonArray().size(),
                        answer.get("text").getAsString().length() + 1);
            }
        }
        Assert.assertTrue(counts.size() >= 7, counts.keySet().toString());
        counts.forEach(
                (adapter, count) ->
                        Assert.assertTrue(
                                count[1] >= 0.95 * count[0],
                                adapter + ": " + Arrays.toString(count)));
    }

    private static List<JsonObject> generate(String backend, Path input) throws IOException {
        List<Object> args = new ArrayList<>(List.of("generate", "--json", "--input", input));
        args.addAll(List.of("--model", Repository.DEMO.resolve("base"), "--backend", backend));
        for (Path adapter : Repository.folders(Repository.DEMO)) {
            if (!adapter.endsWith("base")) {
                args.addAll(List.of("--adapter", adapter.getFileName() + "=" + adapter));
            }
        }
        return objects(Execution.inProcess(args.toArray()).assertExitCode(0));
    }

    /** Standard input, the bundled model by its URL, and text that is not ASCII, in another JVM. */
    @Test
    public void testStandardInputAndUrl() throws Exception {
        Repository.requirePackaged();
        String input =
                "{\"prompt\": \"hello=\", \"adapter\": \"upper\"}\n\n"
                        + "{\"prompt\": \"hello=\", \"adapter\": \"\"}\n"
                        + "{\"prompt\": \"hello=\"}\n";
        Execution run =
                Execution.process(
                                Repository.ROOT,
                                Map.of("JAVA_HOME", System.getProperty("java.home")),
                                input,
                                List.of(
                                        "bin/djl-lora",
                                        "generate",
                                        "--model",
                                        "djl-lora://demo",
                                        "--json"))
                        .assertExitCode(0);
        Assert.assertEquals(run.err(), "", "no progress where stderr is no terminal");
        List<JsonObject> answers = objects(run);
        Assert.assertEquals(answers.get(0).get("text").getAsString(), "HELLO");
        Assert.assertEquals(answers.get(1).get("text").getAsString(), "hello");
        Assert.assertEquals(answers.get(1).get("tokens"), answers.get(2).get("tokens"));
    }

    @Test
    public void testReadable() throws IOException {
        Execution run =
                demo("", "{\"prompt\": \"hello=\", \"adapter\": \"reverse\"}\n").assertExitCode(0);
        Assert.assertEquals(run.out(), "[reverse] hello=\n    olleh\n\n");
    }

    @Test
    public void testMaxNewTokens() throws IOException {
        Execution run =
                demo("--json --max-new-tokens 2", "{\"prompt\": \"hello=\"}").assertExitCode(0);
        JsonObject answer = objects(run).get(0);
        Assert.assertEquals(answer.get("finish_reason").getAsString(), "length");
        Assert.assertEquals(answer.get("text").getAsString(), "he");
    }

    /** Row i draws with seed S + i, so a row can be had again alone. */
    @Test
    public void testSeeds() throws IOException {
        String options = "--json --temperature 3 --max-new-tokens 12 --seed ";
        String line = "{\"prompt\": \"hello=\", \"adapter\": \"sort\"}\n";
        List<JsonObject> four = objects(demo(options + 5, line.repeat(4)));
        Assert.assertEquals(
                objects(demo(options + 5, line.repeat(4))), four, "the same seed again");
        Assert.assertEquals(
                four.stream().map(row -> row.get("tokens")).distinct().count(),
                4,
                "rows draw differently: " + four);
        JsonObject last = objects(demo(options + 8, line)).get(0);
        Assert.assertEquals(last.get("tokens"), four.get(3).get("tokens"));
    }

    /** The first of several answers is that of one, and the best come first. */
    @Test
    public void testSeveralAnswers() throws IOException {
        String options = "--json --temperature 8 --max-new-tokens 8 --logprobs 1 --seed 5";
        String line = "{\"prompt\": \"hello=\", \"adapter\": \"upper\"}\n";
        JsonObject one = objects(demo(options, line)).get(0);
        Assert.assertFalse(one.has("choices"));
        JsonObject four = objects(demo(options + " --n 4", line)).get(0);
        Assert.assertEquals(four.get("tokens"), one.get("tokens"));
        Assert.assertEquals(four.getAsJsonArray("choices").size(), 4);
        JsonObject best = objects(demo(options + " --n 2 --best-of 4", line)).get(0);
        List<Double> sums = new ArrayList<>();
        for (JsonElement choice : four.getAsJsonArray("choices")) {
            JsonObject answer = choice.getAsJsonObject();
            sums.add(answer.get("cumulative_logprob").getAsDouble());
            double sum = 0;
            for (JsonElement token : answer.getAsJsonArray("logprobs")) {
                sum += token.getAsJsonObject().get("logprob").getAsDouble();
                Assert.assertEquals(
                        token.getAsJsonObject().getAsJsonArray("top_logprobs").size(), 1);
            }
            Assert.assertEquals(sum, sums.get(sums.size() - 1), 1e-6);
        }
        double greatest = Collections.max(sums);
        Assert.assertEquals(best.get("cumulative_logprob").getAsDouble(), greatest);
        Assert.assertEquals(best.getAsJsonArray("choices").size(), 2);
        Execution readable = demo("--temperature 8 --n 2 --max-new-tokens 5", line);
        Assert.assertTrue(
                readable.out().matches("(?s)\\[upper] hello=\\R    1: .*\\R    2: .*\\R\\R"),
                readable.out());
    }

    @Test
    public void testFormsOfAnswers() throws IOException {
        String line = "{\"prompt\": \"hello=\", \"adapter\": \"upper\"}\n";
        Assert.assertEquals(text("--choice HEL --choice HELLO --choice x", line), "HELLO");
        Assert.assertEquals(text("--regex [A-K]{3}", line).replaceAll("[A-K]{3}", "ok"), "ok");
        Assert.assertEquals(text("--stop LL", line), "HE");
        Assert.assertEquals(
                text("--ignore-eos --max-new-tokens 40", line).substring(0, 5), "HELLO");
        Path schema = Files.createTempFile("schema", ".json");
        try {
            Files.writeString(
                    schema,
                    "{\"type\": \"object\", \"properties\": {\"word\": {\"type\": \"string\","
                            + " \"maxLength\": 9}}, \"required\": [\"word\"]}");
            JsonObject object =
                    JsonParser.parseString(text("--json-schema " + schema, line)).getAsJsonObject();
            Assert.assertTrue(object.get("word").getAsString().length() <= 9);
            Files.writeString(schema, "{\"type\": \"odd\"}");
            Execution refused = demo("--json-schema " + schema, line).assertExitCode(2);
            Assert.assertTrue(refused.err().contains("odd"), refused.err());
        } finally {
            Files.delete(schema);
        }
    }

    private static String text(String options, String input) throws IOException {
        JsonObject answer = objects(demo("--json " + options, input).assertExitCode(0)).get(0);
        return answer.get("text").getAsString();
    }

    private static Execution demo(String options, String input) throws IOException {
        Path file = Files.createTempFile("prompts", ".jsonl");
        try {
            Files.writeString(file, input);
            List<Object> args = new ArrayList<>(List.of("generate", "--model", "djl-lora://demo"));
            args.addAll(List.of("--input", file));
            Arrays.stream(options.split(" ")).filter(o -> !o.isEmpty()).forEach(args::add);
            return Execution.inProcess(args.toArray());
        } finally {
            Files.delete(file);
        }
    }

    private static List<JsonObject> objects(Execution run) {
        return run.out()
                .lines()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
    }
}
