/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** What the demo model says when it is asked for several answers at once. */
public class SeveralAnswersTest {

    private static final Path DEMO = Path.of("../examples/demo");

    private ZooModel<TextRequest, TextResult> model;

    @BeforeClass
    public void setUp() throws IOException, ModelException {
        model =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(DEMO.resolve("base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("dtype", "float32")
                        .build()
                        .loadModel();
        ((CausalLanguageModel) model.getBlock())
                .getAdapters()
                .register("upper", DEMO.resolve("upper"));
    }

    @AfterClass(alwaysRun = true)
    public void tearDown() {
        if (model != null) {
            model.close();
        }
    }

    private static SamplingParameters.Builder sampling() {
        return SamplingParameters.builder().temperature(8).seed(11).maxNewTokens(20);
    }

    private List<TextResult> predict(SamplingParameters... parameters) throws TranslateException {
        List<TextRequest> requests = new ArrayList<>();
        for (SamplingParameters each : parameters) {
            requests.add(new TextRequest("hello=", "upper", each));
        }
        try (Predictor<TextRequest, TextResult> predictor = model.newPredictor()) {
            return predictor.batchPredict(requests);
        }
    }

    @Test
    public void testEachAnswerIsThatOfARequestWithItsSeed() throws TranslateException {
        SamplingParameters five = sampling().n(5).stopStrings(List.of("L", "O")).build();
        OutputConstraint form = new OutputConstraint.Regex("[A-Z][a-z]{1,9}");
        SamplingParameters formed = sampling().n(4).constraint(form).build();
        List<TextResult> results = predict(five, sampling().build(), formed);
        Assert.assertEquals(results.get(1).others(), List.of());
        Set<String> texts = new HashSet<>();
        for (int i = 0; i < 5; ++i) {
            TextResult answer = results.get(0).answers().get(i);
            TextResult alone =
                    predict(five.toBuilder().n(1).seed(five.choiceSeed(i)).build()).get(0);
            Assert.assertEquals(answer.text(), alone.text());
            Assert.assertEquals(answer.tokens(), alone.tokens());
            Assert.assertFalse(answer.text().matches(".*[LO].*"), answer.text());
            texts.add(answer.text());
        }
        Assert.assertTrue(texts.size() > 1, texts.toString());
        Set<String> words = new HashSet<>();
        for (TextResult answer : results.get(2).answers()) {
            Assert.assertTrue(answer.text().matches("[A-Z][a-z]{1,9}"), answer.text());
            words.add(answer.text());
        }
        Assert.assertEquals(results.get(2).answers().size(), 4);
        Assert.assertTrue(words.size() > 1, words.toString());
    }

    @Test
    public void testTheBestComeFirst() throws TranslateException {
        SamplingParameters all = sampling().n(10).logProbs(0).build();
        SamplingParameters best = sampling().n(3).bestOf(10).build();
        List<TextResult> results = predict(all, best);
        List<String> expected =
                results.get(0).answers().stream()
                        .sorted(Comparator.comparingDouble(each -> -each.logProb()))
                        .map(TextResult::text)
                        .limit(3)
                        .toList();
        Assert.assertEquals(
                results.get(1).answers().stream().map(TextResult::text).toList(), expected);
        Assert.assertTrue(results.get(1).samples().isEmpty());
        Assert.assertEquals(results.get(0).samples().size(), results.get(0).tokens().length);
    }

    @Test
    public void testServing() throws TranslateException {
        try (Predictor<Input, Output> predictor =
                model.newPredictor(
                        new TextGenerationTranslatorFactory()
                                .newInstance(Input.class, Output.class, model, Map.of()))) {
            Input input = new Input();
            input.addProperty("Content-Type", "application/json");
            input.addProperty("adapter", "upper");
            input.add(
                    "data",
                    "{\"inputs\": \"hello=\", \"parameters\": {\"temperature\": 8, \"seed\": 11,"
                            + " \"max_new_tokens\": 20, \"n\": 3, \"best_of\": 10, \"logprobs\": 1}}");
            Output output = predictor.predict(input);
            Assert.assertEquals(output.getCode(), 200);
            JsonObject body = JsonParser.parseString(output.getAsString(0)).getAsJsonObject();
            List<TextResult> expected =
                    predict(sampling().n(3).bestOf(10).logProbs(1).build()).get(0).answers();
            JsonArray choices = body.getAsJsonArray("choices");
            Assert.assertEquals(choices.size(), 3);
            Assert.assertEquals(
                    body.get("generated_text"),
                    choices.get(0).getAsJsonObject().get("generated_text"));
            for (int i = 0; i < 3; ++i) {
                JsonObject choice = choices.get(i).getAsJsonObject();
                TextResult result = expected.get(i);
                Assert.assertEquals(choice.get("generated_text").getAsString(), result.text());
                Assert.assertEquals(
                        choice.get("generated_tokens").getAsInt(), result.tokens().length);
                Assert.assertEquals(
                        choice.get("cumulative_logprob").getAsDouble(), result.logProb(), 1e-9);
                double sum = 0;
                int index = 0;
                for (JsonElement each : choice.getAsJsonArray("logprobs")) {
                    JsonObject token = each.getAsJsonObject();
                    Assert.assertEquals(token.get("token_id").getAsInt(), result.tokens()[index++]);
                    Assert.assertEquals(token.getAsJsonArray("top_logprobs").size(), 1);
                    sum += token.get("logprob").getAsDouble();
                }
                Assert.assertEquals(sum, result.logProb(), 1e-6);
            }
        }
    }
}
