/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import static ai.djl.lora.translate.DemoModel.json;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.Pooling;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Scores texts and makes vectors of them, through predictors. */
public class ReadingTranslatorTest {

    private static final ScoringTranslatorFactory SCORING = new ScoringTranslatorFactory();
    private static final EmbeddingTranslatorFactory EMBEDDING = new EmbeddingTranslatorFactory();

    /** The same rows in steps of other sizes: float32 sums in another order. */
    private static final double TOLERANCE = 1e-4;

    private DemoModel model;

    @BeforeClass
    public void setUp() throws IOException, ModelException {
        model = new DemoModel();
    }

    @AfterClass(alwaysRun = true)
    public void tearDown() {
        if (model != null) {
            model.close();
        }
    }

    @Test
    public void testTheAnswerOfAnAdapterIsLikelyForItAlone() throws TranslateException {
        try (Predictor<ScoringInput, ScoringResult> predictor =
                model.predictor(SCORING, ScoringInput.class, ScoringResult.class, Map.of())) {
            List<ScoringResult> results =
                    predictor.batchPredict(
                            List.of(
                                    new ScoringInput("hello=", "HELLO", "upper"),
                                    new ScoringInput("hello=", "HELLO", "reverse"),
                                    new ScoringInput("hello=", "olleh", "reverse"),
                                    new ScoringInput("hello=", "HELLO", "")));
            Assert.assertTrue(results.get(0).isGreedy());
            Assert.assertTrue(results.get(0).perplexity() < 1.1);
            Assert.assertFalse(results.get(1).isGreedy());
            Assert.assertTrue(results.get(2).isGreedy());
            Assert.assertTrue(results.get(0).logLikelihood() > results.get(1).logLikelihood() + 5);
            Assert.assertTrue(results.get(0).logLikelihood() > results.get(3).logLikelihood() + 5);
            for (ScoringResult result : results) {
                Assert.assertEquals(result.tokens().length, 5);
            }
        }
    }

    @Test
    public void testAWholeTextIsItsBeginningAndWhatFollows() throws TranslateException {
        try (Predictor<ScoringInput, ScoringResult> texts =
                        model.predictor(
                                SCORING, ScoringInput.class, ScoringResult.class, Map.of());
                Predictor<ScoringRequest, ScoringResult> ids =
                        model.predictor(
                                SCORING, ScoringRequest.class, ScoringResult.class, Map.of());
                TextTokenizer tokenizer =
                        TextTokenizer.open(DemoModel.FOLDER.resolve("base"), null)) {
            ScoringResult whole = texts.predict(new ScoringInput("hello=HELLO", "upper"));
            ScoringResult end = texts.predict(new ScoringInput("hello=", "HELLO", "upper"));
            int[] tokens = tokenizer.encode("hello=HELLO");
            Assert.assertEquals(whole.tokens(), Arrays.copyOfRange(tokens, 1, tokens.length));
            int from = tokens.length - 5;
            ScoringResult ofIds = ids.predict(new ScoringRequest(tokens, from, "upper"));
            for (int i = 0; i < 5; ++i) {
                float expected = whole.logProbs()[from - 1 + i];
                Assert.assertEquals(end.logProbs()[i], expected, TOLERANCE);
                Assert.assertEquals(ofIds.logProbs()[i], expected, TOLERANCE);
            }
        }
    }

    @Test
    public void testBlanksAtTheContextsEndAreScored() throws TranslateException {
        try (Predictor<ScoringInput, ScoringResult> texts =
                model.predictor(SCORING, ScoringInput.class, ScoringResult.class, Map.of())) {
            ScoringResult moved = texts.predict(new ScoringInput("hello ", "you", ""));
            ScoringResult same = texts.predict(new ScoringInput("hello", " you", ""));
            Assert.assertEquals(moved.tokens(), same.tokens());
            Assert.assertEquals(moved.tokens().length, 4);
        }
    }

    @Test
    public void testTextsThatCannotBeScored() throws TranslateException {
        try (Predictor<ScoringInput, ScoringResult> predictor =
                model.predictor(SCORING, ScoringInput.class, ScoringResult.class, Map.of())) {
            assertFails(
                    predictor,
                    new ScoringInput("hello=", "", "upper"),
                    "requests[0]: the continuation adds no token to the context's");
            assertFails(
                    predictor,
                    new ScoringInput("", null, "upper"),
                    "requests[0]: the text is null; one is needed");
            assertFails(predictor, new ScoringInput("", "upper"), "requests[0]: the text has ");
            assertFails(
                    predictor,
                    new ScoringInput("x".repeat(200), "upper"),
                    "requests[0]: tokens has ");
        }
    }

    private static void assertFails(
            Predictor<ScoringInput, ScoringResult> predictor, ScoringInput input, String reason) {
        TranslateException e =
                Assert.expectThrows(TranslateException.class, () -> predictor.predict(input));
        Assert.assertTrue(e.getMessage().startsWith(reason), e.getMessage());
    }

    @Test
    public void testServingScores() throws TranslateException {
        try (Predictor<Input, Output> serving =
                        model.predictor(SCORING, Input.class, Output.class, Map.of());
                Predictor<ScoringInput, ScoringResult> texts =
                        model.predictor(
                                SCORING, ScoringInput.class, ScoringResult.class, Map.of())) {
            ScoringResult expected = texts.predict(new ScoringInput("hello=", "HELLO", "upper"));
            List<Output> outputs =
                    serving.batchPredict(
                            List.of(
                                    json(
                                            "{'inputs': {'context': 'hello=', 'continuation':"
                                                    + " 'HELLO'}, 'adapter': 'upper'}"),
                                    json("{'inputs': [], 'adapter': 'upper'}"),
                                    json(
                                            "{'inputs': ['hello=HELLO', {'tokens': [5, 6, 7],"
                                                    + " 'from': 2}], 'adapters': ['upper', '']}"),
                                    json("{'inputs': ['a=', {'tokens': [5, 999]}]}"),
                                    json("{'inputs': {'context': 'a'}}"),
                                    json("{'inputs': 'hello=', 'adapter': 'nobody'}"),
                                    json("{'inputs': {'tokens': [5, 6], 'from': 0}}"),
                                    json("{'inputs': 'hello=', 'stream': true}")));
            JsonObject pair = body(outputs.get(0)).getAsJsonObject();
            Assert.assertEquals(
                    pair.get("log_likelihood").getAsDouble(), expected.logLikelihood(), TOLERANCE);
            Assert.assertTrue(pair.get("is_greedy").getAsBoolean());
            Assert.assertEquals(
                    pair.get("perplexity").getAsDouble(), expected.perplexity(), TOLERANCE);
            for (String field : List.of("tokens", "token_log_probs", "token_is_greedy")) {
                Assert.assertEquals(pair.getAsJsonArray(field).size(), 5, field);
            }
            Assert.assertEquals(pair.get("adapter").getAsString(), "upper");
            Assert.assertEquals(pair.get("adapter_revision").getAsString(), expected.revision());
            JsonArray list = body(outputs.get(2)).getAsJsonArray();
            Assert.assertEquals(list.size(), 2);
            Assert.assertEquals(
                    list.get(1).getAsJsonObject().getAsJsonArray("tokens").toString(), "[7]");
            Assert.assertEquals(
                    list.get(1).getAsJsonObject().get("adapter_revision").getAsString(), "base");
            assertError(outputs.get(1), "inputs is an empty list; a text is needed");
            assertError(
                    outputs.get(3),
                    "requests[1]: tokens[1] is 999; the model's vocabulary is 0 to 106");
            assertError(
                    outputs.get(4),
                    "continuation is null; a text is needed, or tokens in place of both");
            assertError(
                    424,
                    outputs.get(5),
                    "Unknown adapter \"nobody\"; registered are [reverse, upper]");
            assertError(
                    outputs.get(6),
                    "from is 0 and tokens has 2 tokens; at least one is scored, and one stands"
                            + " before it");
            assertError(
                    outputs.get(7),
                    "the field stream is not known; known are [adapter, adapters, inputs]");
        }
    }

    private static JsonElement body(Output output) {
        Assert.assertEquals(output.getCode(), 200, output.getMessage());
        Assert.assertEquals(output.getProperty("Content-Type", null), "application/json");
        return JsonParser.parseString(output.getData().getAsString());
    }

    private static void assertError(Output output, String message) {
        assertError(400, output, message);
    }

    private static void assertError(int code, Output output, String message) {
        Assert.assertEquals(output.getMessage(), message);
        Assert.assertEquals(output.getCode(), code);
    }

    @Test
    public void testVectorsOfStrings() throws TranslateException {
        try (Predictor<String, float[]> base =
                        model.predictor(EMBEDDING, String.class, float[].class, Map.of());
                Predictor<String, float[]> adapted =
                        model.predictor(
                                EMBEDDING,
                                String.class,
                                float[].class,
                                Map.of("adapter", "upper", "normalize", "false"));
                Predictor<EmbeddingInput, EmbeddingResult> typed =
                        model.predictor(
                                EMBEDDING,
                                EmbeddingInput.class,
                                EmbeddingResult.class,
                                Map.of("pooling", "mean", "normalize", false))) {
            List<float[]> vectors = base.batchPredict(List.of("hello", "hello", "quartz"));
            double length = 0;
            for (float value : vectors.get(0)) {
                length += value * value;
            }
            Assert.assertEquals(length, 1, TOLERANCE);
            Assert.assertTrue(distance(vectors.get(0), vectors.get(1)) < TOLERANCE);
            Assert.assertTrue(distance(vectors.get(0), vectors.get(2)) > 0.1);
            EmbeddingResult result = typed.predict(new EmbeddingInput("hello", "upper"));
            Assert.assertTrue(distance(result.vector(), adapted.predict("hello")) < TOLERANCE);
            Assert.assertEquals(result.adapter(), "upper");
            EmbeddingResult other = typed.predict(new EmbeddingInput("hello", ""));
            Assert.assertTrue(distance(result.vector(), other.vector()) > 0.1);
            Assert.assertEquals(other.revision(), "base");
        }
    }

    private static double distance(float[] one, float[] other) {
        Assert.assertEquals(one.length, other.length);
        double most = 0;
        for (int i = 0; i < one.length; ++i) {
            most = Math.max(most, Math.abs((double) one[i] - other[i]));
        }
        return most;
    }

    @Test
    public void testServingVectors() throws TranslateException {
        Map<String, ?> last = Map.of("pooling", "lasttoken", "normalize", "false");
        try (Predictor<Input, Output> serving =
                        model.predictor(EMBEDDING, Input.class, Output.class, last);
                Predictor<EmbeddingRequest, EmbeddingResult> ids =
                        model.predictor(
                                EMBEDDING, EmbeddingRequest.class, EmbeddingResult.class, last);
                TextTokenizer tokenizer =
                        TextTokenizer.open(DemoModel.FOLDER.resolve("base"), null)) {
            int[] tokens = tokenizer.encode("hello");
            EmbeddingResult expected =
                    ids.predict(new EmbeddingRequest(tokens, Pooling.LAST_TOKEN, false, "upper"));
            Input plain = new Input();
            plain.add("hello");
            plain.addProperty("adapter", "upper");
            List<Output> outputs =
                    serving.batchPredict(
                            List.of(
                                    plain,
                                    json("{'inputs': 'hello', 'adapter': 'upper'}"),
                                    json(
                                            "{'inputs': ['quartz', 'hello'],"
                                                    + " 'adapters': ['', 'upper']}"),
                                    json("{'inputs': ['a', 1]}"),
                                    json("{}")));
            JsonObject[] same = {
                body(outputs.get(0)).getAsJsonObject(),
                body(outputs.get(1)).getAsJsonObject(),
                body(outputs.get(2)).getAsJsonArray().get(1).getAsJsonObject()
            };
            for (JsonObject answer : same) {
                JsonArray vector = answer.getAsJsonArray("embedding");
                float[] values = new float[vector.size()];
                for (int i = 0; i < values.length; ++i) {
                    values[i] = vector.get(i).getAsFloat();
                }
                Assert.assertTrue(distance(values, expected.vector()) < TOLERANCE);
                Assert.assertEquals(answer.get("tokens").getAsInt(), tokens.length);
                Assert.assertEquals(
                        answer.get("adapter_revision").getAsString(), expected.revision());
            }
            assertError(outputs.get(3), "inputs[1] is not a text; a list of texts is needed");
            assertError(outputs.get(4), "inputs is missing; a text is needed");
        }
    }

    @Test
    public void testArgumentsThatAreWrong() {
        Map<Map<String, String>, String> cases =
                Map.of(
                        Map.of("pooling", "cls"),
                        "the argument pooling is \"cls\"; it must be one of [mean, weightedmean,"
                                + " lasttoken]",
                        Map.of("normalize", "yes"),
                        "the argument normalize is yes; true or false is needed");
        cases.forEach(
                (arguments, message) -> {
                    TranslateException e =
                            Assert.expectThrows(
                                    TranslateException.class,
                                    () ->
                                            model.predictor(
                                                    EMBEDDING,
                                                    String.class,
                                                    float[].class,
                                                    arguments));
                    Assert.assertEquals(e.getMessage(), message);
                });
    }
}
