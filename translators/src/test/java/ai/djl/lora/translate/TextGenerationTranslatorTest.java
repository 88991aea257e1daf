/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Predicts with a random model that is given a tokenizer of characters. */
public class TextGenerationTranslatorTest {

    private static final Path GOLDEN = Path.of("../src/test/resources/goldens/qwen2");
    private static final SamplingParameters GREEDY = SamplingParameters.greedy(6);

    private TemporaryFolder folder;
    private ZooModel<TextRequest, TextResult> model;
    private CausalLanguageModel block;

    @BeforeClass
    public void setUp() throws IOException, ModelException {
        folder = new TemporaryFolder();
        try (Stream<Path> files = Files.list(GOLDEN.resolve("model"))) {
            for (Path file : files.toList()) {
                Files.copy(file, folder.path().resolve(file.getFileName()));
            }
        }
        TokenizerFiles.writeCharacters(folder.path());
        model =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(folder.path())
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("backend", "pytorch")
                        .optArgument("dtype", "float32")
                        .build()
                        .loadModel();
        block = (CausalLanguageModel) model.getBlock();
        block.getAdapters().register("golden", GOLDEN.resolve("adapter"));
    }

    @AfterClass(alwaysRun = true)
    public void tearDown() throws IOException {
        if (model != null) {
            model.close();
        }
        folder.close();
    }

    private <I, O> Translator<I, O> translator(
            Class<I> input, Class<O> output, Map<String, ?> arguments) throws TranslateException {
        return new TextGenerationTranslatorFactory().newInstance(input, output, model, arguments);
    }

    private Predictor<TextRequest, TextResult> texts() {
        return model.newPredictor();
    }

    private Predictor<Input, Output> serving() throws TranslateException {
        return model.newPredictor(
                translator(Input.class, Output.class, Map.of("max_new_tokens", "6")));
    }

    @Test
    public void testABatchIsAnsweredInOrderByTheAdaptersNamed() throws TranslateException {
        try (Predictor<TextRequest, TextResult> predictor = texts()) {
            TextRequest base = new TextRequest("hello", "", GREEDY);
            TextRequest adapted = new TextRequest("hello", "golden", GREEDY);
            TextResult baseResult = predictor.predict(base);
            TextResult adaptedResult = predictor.predict(adapted);
            Assert.assertEquals(adaptedResult.adapter(), "golden");
            Assert.assertEquals(baseResult.adapter(), "");
            Assert.assertFalse(Arrays.equals(baseResult.tokens(), adaptedResult.tokens()));
            List<TextResult> results =
                    predictor.batchPredict(List.of(adapted, base, adapted, base));
            for (int i = 0; i < 4; ++i) {
                TextResult expected = i % 2 == 0 ? adaptedResult : baseResult;
                Assert.assertEquals(results.get(i).text(), expected.text());
                Assert.assertEquals(results.get(i).tokens(), expected.tokens());
                Assert.assertEquals(results.get(i).adapter(), expected.adapter());
                Assert.assertEquals(results.get(i).finishReason(), expected.finishReason());
            }
            Assert.assertEquals(predictor.batchPredict(List.of()), List.of());
        }
    }

    @Test
    public void testTheEndOfTextIsNoText() throws TranslateException {
        try (Predictor<TextRequest, TextResult> predictor = texts();
                TextTokenizer tokenizer = TextTokenizer.open(folder.path(), null)) {
            // Sampling at a high temperature meets the end of text soon for some seed.
            for (int seed = 0; seed < 100; ++seed) {
                SamplingParameters sampling = SamplingParameters.of(5, seed, 60);
                TextResult result = predictor.predict(new TextRequest("a", "", sampling));
                int[] tokens = result.tokens();
                if (result.finishReason() == FinishReason.STOP) {
                    Assert.assertEquals(tokens[tokens.length - 1], TokenizerFiles.END);
                    Assert.assertEquals(result.text(), tokenizer.decode(tokens));
                    return;
                }
                Assert.assertEquals(tokens.length, 60);
            }
        }
        Assert.fail("no text ended");
    }

    @Test
    public void testStrings() throws TranslateException {
        Map<String, String> arguments =
                Map.of("adapter", "golden", "max_new_tokens", "6", "temperature", "0");
        try (Predictor<String, String> adapted =
                        model.newPredictor(translator(String.class, String.class, arguments));
                Predictor<String, String> base =
                        model.newPredictor(
                                translator(
                                        String.class, String.class, Map.of("max_new_tokens", 6)));
                Predictor<TextRequest, TextResult> texts = texts()) {
            String expected = texts.predict(new TextRequest("abc", "golden", GREEDY)).text();
            Assert.assertEquals(adapted.predict("abc"), expected);
            Assert.assertEquals(adapted.batchPredict(List.of("x", "abc")).get(1), expected);
            Assert.assertEquals(
                    base.predict("abc"), texts.predict(new TextRequest("abc", "", GREEDY)).text());
        }
    }

    @Test
    public void testServing() throws TranslateException {
        try (Predictor<Input, Output> predictor = serving();
                Predictor<TextRequest, TextResult> texts = texts()) {
            TextResult base = texts.predict(new TextRequest("ab", "", GREEDY));
            TextResult golden = texts.predict(new TextRequest("ab", "golden", GREEDY));
            Input plain = new Input();
            plain.add("ab");
            plain.addProperty("adapter", "golden");
            List<Output> outputs =
                    predictor.batchPredict(
                            List.of(
                                    plain,
                                    json("{'inputs': 'ab'}"),
                                    json("{'inputs': ['ab', 'ab'], 'adapters': ['', 'golden']}")));
            assertAnswer(object(outputs.get(0)), golden);
            assertAnswer(object(outputs.get(1)), base);
            JsonArray list = JsonParser.parseString(outputs.get(2).getAsString(0)).getAsJsonArray();
            Assert.assertEquals(list.size(), 2);
            assertAnswer(list.get(0).getAsJsonObject(), base);
            assertAnswer(list.get(1).getAsJsonObject(), golden);
            for (Output output : outputs) {
                Assert.assertEquals(output.getCode(), 200);
                Assert.assertEquals(output.getProperty("Content-Type", null), "application/json");
            }
        }
    }

    @Test
    public void testOneClientsMistakeCostsNobodyElseTheAnswer() throws TranslateException {
        try (Predictor<Input, Output> predictor = serving()) {
            String expected =
                    object(predictor.predict(json("{'inputs': 'ab', 'adapter': 'golden'}")))
                            .toString();
            List<Output> outputs =
                    predictor.batchPredict(
                            List.of(
                                    json("{'inputs': 'ab', 'adapter': 'nobody'}"),
                                    json("{'inputs': 'ab', 'adapter': 'golden'}"),
                                    json("{'inputs': 'ab', 'adapters': ['no\\nbody']}"),
                                    json("no JSON"),
                                    json("{'inputs': ['ab', 'ab'], 'adapters': ['', 'no']}"),
                                    json("{'inputs': 'ab', 'parameters': {'temperature': -1}}"),
                                    new Input(),
                                    json("{'inputs': '" + "x".repeat(500) + "'}"),
                                    json("{'inputs': 'ab', 'adapter': 'golden'}")));
            Assert.assertEquals(object(outputs.get(1)).toString(), expected);
            Assert.assertEquals(object(outputs.get(8)).toString(), expected);
            assertError(424, outputs.get(0), "Unknown adapter \"nobody\"; registered are [golden]");
            assertError(
                    424, outputs.get(2), "Unknown adapter \"no body\"; registered are [golden]");
            Assert.assertTrue(
                    outputs.get(3).getMessage().startsWith("the body is not valid JSON: "));
            assertError(
                    424,
                    outputs.get(4),
                    "requests[1]: Unknown adapter \"no\"; registered are [golden]");
            assertError(
                    outputs.get(5),
                    "temperature is -1.0; it must be 0 (greedy) or a finite number above");
            assertError(
                    outputs.get(6),
                    "the input has no content; a prompt or a JSON object is needed");
            Assert.assertTrue(
                    outputs.get(7).getMessage().startsWith("promptTokens has 501 tokens; "),
                    outputs.get(7).getMessage());
        }
    }

    @DataProvider
    public Object[][] badRequests() {
        return new Object[][] {
            {new TextRequest(null, "", GREEDY), "requests[1]: prompt is null; a text is needed"},
            {
                new TextRequest("\ud800", "", GREEDY),
                "requests[1]: prompt: the text's character 0 is half a surrogate pair (0xd800);"
                        + " text must be valid Unicode"
            },
            {
                new TextRequest("a", "nobody", GREEDY),
                "requests[1]: Unknown adapter \"nobody\"; registered are [golden]"
            },
            {
                new TextRequest(
                        "a",
                        "",
                        SamplingParameters.builder().stopTokens(Set.of(1_000_000)).build()),
                "requests[1]: stopTokens names token 1000000; the model's vocabulary is 0 to "
                        + (block.getConfig().vocabSize() - 1)
            },
        };
    }

    @Test(dataProvider = "badRequests")
    public void testFailuresKeepTheirMessage(TextRequest bad, String message)
            throws TranslateException {
        TextRequest good = new TextRequest("a", "golden", GREEDY);
        try (Predictor<TextRequest, TextResult> predictor = texts()) {
            TranslateException e =
                    Assert.expectThrows(
                            TranslateException.class,
                            () -> predictor.batchPredict(List.of(good, bad)));
            Assert.assertEquals(e.getMessage(), message);
            Assert.assertEquals(e.getCause().getClass(), GenerationRequestException.class);
        }
    }

    @Test
    public void testPredictionLeaksNothing() throws TranslateException {
        try (Predictor<TextRequest, TextResult> predictor = texts()) {
            predictor.predict(new TextRequest("a", "golden", GREEDY));
            int before = model.getNDManager().getManagedArrays().size();
            predictor.predict(new TextRequest("a", "golden", GREEDY));
            Assert.expectThrows(
                    TranslateException.class,
                    () -> predictor.predict(new TextRequest("a", "nobody", GREEDY)));
            Assert.assertEquals(model.getNDManager().getManagedArrays().size(), before);
        }
    }

    @DataProvider
    public Object[][] badArguments() {
        return new Object[][] {
            {Map.of("max_new_tokens", "many"), "the argument max_new_tokens is many; a number is"},
            {Map.of("max_new_tokens", "0"), "maxNewTokens is 0; it must be 1 or more"},
            {Map.of("top_k", 1.5), "the argument top_k is 1.5; a whole number of 32 bits is"},
            {Map.of("temperature", "-1"), "temperature is -1.0; it must be 0 (greedy)"},
        };
    }

    @Test(dataProvider = "badArguments")
    public void testBadArgumentsAreNamed(Map<String, ?> arguments, String message) {
        TranslateException e =
                Assert.expectThrows(
                        TranslateException.class,
                        () -> translator(String.class, String.class, arguments));
        Assert.assertTrue(e.getMessage().startsWith(message), e.getMessage());
        Assert.assertEquals(e.getCause().getClass(), LoraConfigurationException.class);
    }

    @Test
    public void testTypes() {
        TextGenerationTranslatorFactory factory = new TextGenerationTranslatorFactory();
        Assert.assertTrue(factory.isSupported(TextRequest.class, TextResult.class));
        Assert.assertTrue(factory.isSupported(String.class, String.class));
        Assert.assertTrue(factory.isSupported(Input.class, Output.class));
        Assert.expectThrows(
                IllegalArgumentException.class,
                () -> factory.newInstance(String.class, Output.class, model, Map.of()));
    }

    private static void assertAnswer(JsonObject answer, TextResult expected) {
        Assert.assertEquals(answer.get("generated_text").getAsString(), expected.text());
        Assert.assertEquals(answer.get("adapter").getAsString(), expected.adapter());
        Assert.assertEquals(
                answer.get("finish_reason").getAsString().toUpperCase(java.util.Locale.ROOT),
                expected.finishReason().name());
        Assert.assertEquals(answer.get("generated_tokens").getAsInt(), expected.tokens().length);
    }

    private static void assertError(Output output, String message) {
        assertError(400, output, message);
    }

    private static void assertError(int code, Output output, String message) {
        Assert.assertEquals(output.getCode(), code);
        Assert.assertEquals(output.getMessage(), message);
        Assert.assertEquals(object(output).get("code").getAsInt(), code);
        Assert.assertEquals(object(output).get("message").getAsString(), message);
    }

    private static JsonObject object(Output output) {
        return JsonParser.parseString(output.getAsString(0)).getAsJsonObject();
    }

    private static Input json(String body) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        input.add("data", body.replace('\'', '"'));
        return input;
    }
}
