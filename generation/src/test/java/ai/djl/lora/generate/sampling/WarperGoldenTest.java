/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The distribution behind every parameter against transformers' processors (tools/fixtures). */
public class WarperGoldenTest {

    /** The goldens are computed in float32, whose softmax of 48 values is good to about 1e-6. */
    private static final double TOLERANCE = 2e-6;

    private final JsonObject golden;

    public WarperGoldenTest() throws IOException {
        try (InputStream stream = getClass().getResourceAsStream("/sampling/warpers.json")) {
            golden =
                    JsonParser.parseReader(new InputStreamReader(stream, StandardCharsets.UTF_8))
                            .getAsJsonObject();
        }
    }

    @DataProvider
    public Object[][] cases() {
        return golden.getAsJsonArray("cases").asList().stream()
                .map(JsonElement::getAsJsonObject)
                .map(c -> new Object[] {c.get("parameters"), c.get("probabilities")})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "cases")
    public void testDistribution(JsonObject parameters, JsonArray probabilities) {
        JsonArray row = golden.getAsJsonArray("logits");
        float[] logits = new float[row.size()];
        for (int i = 0; i < logits.length; ++i) {
            logits[i] = Float.parseFloat(row.get(i).getAsString());
        }
        float[] before = logits.clone();
        History history = new History(ints("prompt"));
        for (int token : ints("new")) {
            history.add(token);
        }
        SamplingWorkspace workspace = new SamplingWorkspace();
        List<Integer> end = List.of(golden.get("end").getAsInt());
        new Sampler(parse(parameters), end, null, workspace)
                .sample(logits, 0, logits.length, history);
        Assert.assertEquals(logits, before, "the row is the caller's");
        double[] actual = distribution(workspace.candidates(), logits.length);
        for (int i = 0; i < logits.length; ++i) {
            double expected = probabilities.get(i).getAsDouble();
            Assert.assertEquals(actual[i], expected, TOLERANCE, "token " + i);
            if (expected == 0) {
                Assert.assertEquals(actual[i], 0.0, "token " + i + " is ruled out");
            }
        }
    }

    /** Reads the distribution off the draw: each token has one interval of the random number. */
    private static double[] distribution(Candidates candidates, int vocabSize) {
        double[] probabilities = new double[vocabSize];
        double from = 0;
        while (from < 1) {
            int token = candidates.draw(from);
            double low = from;
            double high = 1;
            if (candidates.draw(Math.nextDown(1.0)) != token) {
                while (high - low > 1e-13) {
                    double middle = (low + high) / 2;
                    if (candidates.draw(middle) == token) {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
            }
            Assert.assertEquals(probabilities[token], 0.0, "token " + token + " comes twice");
            probabilities[token] = high - from;
            from = high;
        }
        return probabilities;
    }

    private int[] ints(String name) {
        return golden.getAsJsonArray(name).asList().stream()
                .mapToInt(JsonElement::getAsInt)
                .toArray();
    }

    private static SamplingParameters parse(JsonObject json) {
        SamplingParameters.Builder builder = SamplingParameters.builder();
        for (Map.Entry<String, JsonElement> entry : json.entrySet()) {
            JsonElement value = entry.getValue();
            switch (entry.getKey()) {
                case "temperature" -> builder.temperature(value.getAsDouble());
                case "topK" -> builder.topK(value.getAsInt());
                case "topP" -> builder.topP(value.getAsDouble());
                case "minP" -> builder.minP(value.getAsDouble());
                case "typicalP" -> builder.typicalP(value.getAsDouble());
                case "repetitionPenalty" -> builder.repetitionPenalty(value.getAsDouble());
                case "presencePenalty" -> builder.presencePenalty(value.getAsDouble());
                case "frequencyPenalty" -> builder.frequencyPenalty(value.getAsDouble());
                case "minNewTokens" -> builder.minNewTokens(value.getAsInt());
                case "logitBias" -> {
                    Map<Integer, Float> bias = new HashMap<>();
                    value.getAsJsonObject()
                            .entrySet()
                            .forEach(
                                    e ->
                                            bias.put(
                                                    Integer.valueOf(e.getKey()),
                                                    e.getValue().getAsFloat()));
                    builder.logitBias(bias);
                }
                default -> throw new AssertionError(Arrays.asList(entry));
            }
        }
        return builder.build();
    }
}
