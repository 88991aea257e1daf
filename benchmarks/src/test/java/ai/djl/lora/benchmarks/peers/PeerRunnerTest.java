/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.peers;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * The runner speaks as {@code benchmarks/peers/protocol.py} says, and generates what transformers
 * and PEFT do.
 */
public class PeerRunnerTest {

    private static final Path GOLDENS = Path.of("../src/test/resources/goldens/qwen2");
    private static final List<String> ADAPTERS = List.of("", "rank-2", "rank-5");

    private final JsonArray cases = new JsonArray();
    private Path folder;

    @BeforeClass
    public void setUp() throws IOException {
        folder = Files.createTempDirectory("peers");
        Map<String, String> parts =
                Map.of("model", "model", "adapter0", "rank-2", "adapter1", "rank-5");
        for (Map.Entry<String, String> part : parts.entrySet()) {
            Path target = Files.createDirectory(folder.resolve(part.getKey()));
            try (Stream<Path> files = Files.list(GOLDENS.resolve(part.getValue()))) {
                for (Path file : files.toList()) {
                    Files.copy(file, target.resolve(file.getFileName()));
                }
            }
        }
        // the first of each adapter, after a line that says how they were made
        List<JsonObject> goldens =
                Files.readAllLines(GOLDENS.resolve("generation.jsonl")).stream()
                        .skip(1)
                        .map(line -> JsonParser.parseString(line).getAsJsonObject())
                        .toList();
        for (String adapter : ADAPTERS) {
            cases.add(
                    goldens.stream()
                            .filter(golden -> golden.get("adapter").getAsString().equals(adapter))
                            .findFirst()
                            .orElseThrow());
        }
    }

    @AfterClass
    public void tearDown() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Test
    public void testTurns() throws IOException {
        List<JsonObject> lines = serve(request(40, false), request(1, true), request(2, false));
        Assert.assertEquals(lines.size(), 4);
        Assert.assertTrue(lines.get(0).get("engine").getAsString().startsWith("djl-lora"));
        Assert.assertEquals(tokens(lines.get(1)), expected(40));
        Assert.assertEquals(tokens(lines.get(2)), expected(1));
        Assert.assertEquals(tokens(lines.get(3)), expected(2));
        for (JsonObject answer : lines.subList(1, 4)) {
            double first = answer.get("first_seconds").getAsDouble();
            Assert.assertTrue(first > 0, answer.toString());
            Assert.assertTrue(answer.get("seconds").getAsDouble() >= first, answer.toString());
        }
        // whoever comes last, the others have at least one token by then
        long decoded = lines.get(1).get("decoded").getAsLong();
        Assert.assertTrue(decoded >= 39 && decoded <= 3 * 39, "decoded " + decoded);
        Assert.assertEquals(lines.get(2).get("decoded").getAsLong(), 0);
        Assert.assertEquals(lines.get(1).get("log_probs").toString(), "[[],[],[]]");
        for (JsonElement numbers : lines.get(2).get("log_probs").getAsJsonArray()) {
            Assert.assertEquals(numbers.getAsJsonArray().size(), 1);
            double logProb = numbers.getAsJsonArray().get(0).getAsDouble();
            Assert.assertTrue(logProb < 0 && logProb > Math.log(1e-3), "" + logProb);
        }
    }

    private List<JsonObject> serve(JsonObject... requests) throws IOException {
        StringBuilder in = new StringBuilder();
        for (JsonObject request : requests) {
            in.append(request).append('\n');
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (PeerRunner runner = new PeerRunner(folder, "float32")) {
            runner.serve(
                    new BufferedReader(new StringReader(in.toString())),
                    new PrintStream(out, true, StandardCharsets.UTF_8));
        }
        return out.toString(StandardCharsets.UTF_8)
                .lines()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
    }

    private JsonObject request(int newTokens, boolean logProbs) {
        JsonObject request = new JsonObject();
        request.add("prompts", new JsonArray());
        request.add("adapters", new JsonArray());
        for (int i = 0; i < cases.size(); ++i) {
            JsonObject golden = cases.get(i).getAsJsonObject();
            request.getAsJsonArray("prompts").add(golden.get("prompt"));
            request.getAsJsonArray("adapters").add(i - 1);
        }
        request.addProperty("new_tokens", newTokens);
        request.addProperty("log_probs", logProbs);
        return request;
    }

    private static List<String> tokens(JsonObject answer) {
        List<String> tokens = new ArrayList<>();
        answer.getAsJsonArray("tokens").forEach(row -> tokens.add(row.toString()));
        return tokens;
    }

    private List<String> expected(int count) {
        List<String> expected = new ArrayList<>();
        for (JsonElement golden : cases) {
            JsonArray tokens = golden.getAsJsonObject().getAsJsonArray("tokens");
            JsonArray first = new JsonArray();
            for (int i = 0; i < count; ++i) {
                first.add(tokens.get(i));
            }
            expected.add(first.toString());
        }
        return expected;
    }
}
