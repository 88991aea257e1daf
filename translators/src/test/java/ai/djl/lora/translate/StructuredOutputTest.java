/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What the demo model writes when it is told the form, which none of its adapters was taught. */
public class StructuredOutputTest {

    private static final Path DEMO = Path.of("../examples/demo");
    private static final Gson JSON = new GsonBuilder().setStrictness(Strictness.STRICT).create();

    private ZooModel<TextRequest, TextResult> model;
    private CausalLanguageModel block;

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
        block = (CausalLanguageModel) model.getBlock();
        block.getAdapters().register("upper", DEMO.resolve("upper"));
        block.getAdapters().register("reverse", DEMO.resolve("reverse"));
    }

    @AfterClass(alwaysRun = true)
    public void tearDown() {
        if (model != null) {
            model.close();
        }
    }

    private static SamplingParameters sampling(OutputConstraint constraint, int seed) {
        // the first of each kind is greedy
        return SamplingParameters.builder()
                .temperature(seed == 0 ? 0 : 1.3)
                .seed(seed)
                .maxNewTokens(118)
                .constraint(constraint)
                .build();
    }

    private List<TextResult> answers(OutputConstraint constraint, int count)
            throws TranslateException {
        String[] adapters = {"upper", "", "reverse"};
        List<TextRequest> requests = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            requests.add(new TextRequest("hello=", adapters[i % 3], sampling(constraint, i / 3)));
        }
        try (Predictor<TextRequest, TextResult> predictor = model.newPredictor()) {
            return predictor.batchPredict(requests);
        }
    }

    private static void assertWhole(TextResult result) {
        Assert.assertEquals(result.finishReason(), FinishReason.STOP, result.text());
    }

    @DataProvider
    public Object[][] patterns() {
        return new Object[][] {
            {"[A-Z]{3,8}( [a-z]+[.!]){1,2}"},
            {"(19|20)\\d\\d-(0[1-9]|1[0-2])-[0-3]\\d"},
            {"[^aeiou\\s]{12}"},
            {"(yes|no|maybe)(, (yes|no))?"},
        };
    }

    @Test(dataProvider = "patterns")
    public void testEveryAnswerMatchesItsExpression(String pattern) throws TranslateException {
        // a quantifier without end may take all the positions that there are
        boolean bounded = !pattern.contains("+");
        for (TextResult result : answers(new OutputConstraint.Regex(pattern), 30)) {
            if (bounded || result.finishReason() == FinishReason.STOP) {
                Assert.assertTrue(
                        Pattern.matches(pattern, result.text()), pattern + ": " + result.text());
                assertWhole(result);
            }
        }
    }

    @Test
    public void testEveryAnswerIsOneOfTheChoices() throws TranslateException {
        List<String> choices = List.of("HELLO", "HELL", "olleh", "OLLEH", "yes", "{}");
        Set<String> seen = new HashSet<>();
        List<TextResult> results = answers(new OutputConstraint.Choice(choices), 60);
        for (TextResult result : results) {
            assertWhole(result);
            Assert.assertTrue(choices.contains(result.text()), result.text());
            seen.add(result.text());
        }
        // the model still says what it was taught, where the form allows it
        Assert.assertEquals(results.get(0).text(), "HELLO");
        Assert.assertEquals(results.get(2).text(), "olleh");
        Assert.assertTrue(seen.size() > 2, seen.toString());
    }

    @Test
    public void testEveryAnswerUnderARandomSchemaIsValid() throws TranslateException {
        SplittableRandom random = new SplittableRandom(20);
        int whole = 0;
        int all = 0;
        for (int i = 0; i < 25; ++i) {
            RandomSchema schema = RandomSchema.object(random, 2);
            for (TextResult result : answers(new OutputConstraint.JsonSchema(schema.json()), 9)) {
                ++all;
                if (result.finishReason() == FinishReason.STOP) {
                    ++whole;
                    JsonElement value = JSON.fromJson(result.text(), JsonElement.class);
                    Assert.assertTrue(
                            schema.check().test(value), schema.json() + ": " + result.text());
                }
            }
        }
        // the model's 128 positions end a few
        Assert.assertTrue(whole > 0.9 * all, whole + " of " + all);
    }

    @Test
    public void testAnyObjectIsAnObject() throws TranslateException {
        int whole = 0;
        for (TextResult result : answers(new OutputConstraint.JsonObject(), 60)) {
            Assert.assertTrue(result.text().startsWith("{"), result.text());
            if (result.finishReason() == FinishReason.STOP) {
                ++whole;
                Assert.assertTrue(
                        JSON.fromJson(result.text(), JsonElement.class).isJsonObject(),
                        result.text());
            }
        }
        Assert.assertTrue(whole > 0);
    }

    /** Drafts, chunks and preemptions change nothing, nor does who else is in the batch. */
    @Test
    public void testAnEnginesMeansDoNotShow() {
        String[] adapters = {"upper", "", "reverse"};
        List<OutputConstraint> constraints = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(4);
        for (int i = 0; i < 6; ++i) {
            constraints.add(new OutputConstraint.JsonSchema(RandomSchema.object(random, 2).json()));
        }
        constraints.add(new OutputConstraint.Regex("(ab ){10,}c"));
        constraints.add(null);
        try (TextTokenizer tokenizer = TextTokenizer.open(DEMO.resolve("base"), null)) {
            List<GenerationRequest> requests = new ArrayList<>();
            for (int i = 0; i < 48; ++i) {
                SamplingParameters sampling =
                        sampling(constraints.get(i % constraints.size()), i / 16);
                requests.add(
                        new GenerationRequest(
                                tokenizer.encode("hello="),
                                adapters[i % 3],
                                sampling.toBuilder()
                                        .ignoreEos(i % 5 == 0)
                                        .minNewTokens(i % 7 == 0 ? 30 : 0)
                                        .build()));
            }
            long bytes = KvPool.bytesPerBlock(block) * 10;
            EngineOptions.Builder small =
                    EngineOptions.builder()
                            .optKvBytes(bytes)
                            .optMaxTokensPerStep(7)
                            .optSpeculationSequences(100);
            EngineOptions.Builder plain =
                    EngineOptions.builder().optSpeculation(false).optPrefixCaching(false);
            List<EngineStatistics> statistics = new ArrayList<>();
            List<String> expected = texts(tokenizer, requests, plain, statistics);
            Assert.assertEquals(texts(tokenizer, requests, small, statistics), expected);
            Assert.assertTrue(statistics.get(1).preemptions() > 0, statistics.toString());
            Assert.assertTrue(statistics.get(1).metTokens() > 0, statistics.toString());
            for (int i = 0; i < requests.size(); i += 5) {
                List<GenerationRequest> one = List.of(requests.get(i));
                Assert.assertEquals(
                        texts(tokenizer, one, plain, statistics), List.of(expected.get(i)));
            }
        }
    }

    private List<String> texts(
            TextTokenizer tokenizer,
            List<GenerationRequest> requests,
            EngineOptions.Builder options,
            List<EngineStatistics> statistics) {
        List<TextSubmission> submissions =
                requests.stream().map(each -> new TextSubmission(tokenizer, each)).toList();
        List<String> texts = new ArrayList<>();
        try (GenerationEngine engine = new GenerationEngine(block, options.build())) {
            List<List<GenerationResult>> results =
                    engine.answerAll(submissions.stream().map(TextSubmission::submission).toList());
            for (int i = 0; i < results.size(); ++i) {
                texts.add(submissions.get(i).finish(results.get(i)).text());
            }
            statistics.add(engine.statistics());
        }
        return texts;
    }

    @Test
    public void testAnEngineAsksForTheCompiledConstraint() {
        GenerationRequest request =
                new GenerationRequest(
                        new int[] {12}, "", sampling(new OutputConstraint.JsonObject(), 0));
        GenerationRequestException e =
                Assert.expectThrows(
                        GenerationRequestException.class,
                        () -> GenerationEngine.of(block).generate(List.of(request)));
        Assert.assertEquals(
                e.getReason(),
                "constraint is not compiled for the vocabulary; a submission of token ids needs it"
                        + " compiled (optConstraint)");
    }

    @Test
    public void testOneWhoseFormCannotBeHadIsRefusedAlone() throws TranslateException {
        try (Predictor<Input, Output> predictor =
                model.newPredictor(
                        new TextGenerationTranslatorFactory()
                                .newInstance(
                                        Input.class,
                                        Output.class,
                                        model,
                                        Map.of("max_new_tokens", 60)))) {
            List<Output> outputs =
                    predictor.batchPredict(
                            List.of(
                                    json(
                                            "{'inputs': 'hello=', 'response_format': {'type':"
                                                    + " 'json_schema', 'json_schema': {'schema':"
                                                    + " {'type': 'object', 'patternProperties':"
                                                    + " {}}}}}"),
                                    json(
                                            "{'inputs': 'hello=', 'response_format': {'type':"
                                                    + " 'json_schema', 'json_schema': {'name': 'x',"
                                                    + " 'strict': true, 'schema': {'type':"
                                                    + " 'object', 'properties': {'word': {'enum':"
                                                    + " ['HELLO', 'hello']}},"
                                                    + " 'required': ['word']}}}}"),
                                    json(
                                            "{'inputs': 'hello=', 'adapter': 'upper', 'parameters':"
                                                    + " {'guided_choice': ['hell', 'HELLO']}}"),
                                    json(
                                            "{'inputs': 'hello=', 'parameters': {'guided_regex':"
                                                    + " '(?=a)b'}}")));
            Assert.assertEquals(
                    outputs.stream().map(Output::getCode).toList(), List.of(400, 200, 200, 400));
            String refusal = body(outputs.get(0)).get("message").getAsString();
            Assert.assertTrue(refusal.contains("patternProperties"), refusal);
            JsonObject word =
                    JsonParser.parseString(body(outputs.get(1)).get("generated_text").getAsString())
                            .getAsJsonObject();
            Assert.assertEquals(word.keySet(), Set.of("word"));
            Assert.assertEquals(word.get("word").getAsString().toUpperCase(Locale.ROOT), "HELLO");
            Assert.assertEquals(body(outputs.get(2)).get("generated_text").getAsString(), "HELLO");
        }
    }

    private static JsonObject body(Output output) {
        return JsonParser.parseString(output.getAsString(0)).getAsJsonObject();
    }

    private static Input json(String body) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        input.add("data", body.replace('\'', '"'));
        return input;
    }
}
