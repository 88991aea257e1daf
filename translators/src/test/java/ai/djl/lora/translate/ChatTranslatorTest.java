/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Chats with the demo model, whose template makes a prompt of one word. */
public class ChatTranslatorTest {

    private static final Path DEMO = Path.of("../examples/demo");

    private ZooModel<ChatRequest, TextResult> model;

    @BeforeClass
    public void setUp() throws IOException, ModelException {
        Criteria<ChatRequest, TextResult> criteria =
                Criteria.builder()
                        .setTypes(ChatRequest.class, TextResult.class)
                        .optModelPath(DEMO.resolve("base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("backend", "pytorch")
                        .optArgument("dtype", "float32")
                        .optArgument("max_new_tokens", "16")
                        .build();
        model = criteria.loadModel();
        for (String adapter : List.of("upper", "reverse")) {
            ((AdaptedBlock) model.getBlock())
                    .getAdapters()
                    .register(adapter, DEMO.resolve(adapter));
        }
    }

    @AfterClass(alwaysRun = true)
    public void tearDown() {
        if (model != null) {
            model.close();
        }
    }

    private static ChatRequest request(String word, String adapter) {
        return new ChatRequest(List.of(ChatMessage.user(word)), adapter);
    }

    @Test
    public void testOneBatchOfConversations() throws TranslateException {
        try (Predictor<ChatRequest, TextResult> predictor = model.newPredictor()) {
            List<TextResult> results =
                    predictor.batchPredict(
                            List.of(
                                    request("hello", ""),
                                    request(" hello\n", "upper"),
                                    request("hello", "reverse")));
            Assert.assertEquals(
                    results.stream().map(TextResult::text).toList(),
                    List.of("hello", "HELLO", "olleh"));
            Assert.assertEquals(results.get(1).adapter(), "upper");
            Assert.assertEquals(results.get(1).finishReason(), FinishReason.STOP);
            Assert.assertEquals(predictor.predict(request("abc", "upper")).text(), "ABC");
        }
    }

    @Test
    public void testThePromptHasTheBeginOfTextOnce() throws TranslateException {
        // the tokenizer puts one in front of plain text, the template writes its own
        try (Predictor<ChatRequest, TextResult> chats = model.newPredictor();
                Predictor<TextRequest, TextResult> texts =
                        model.newPredictor(
                                new TextGenerationTranslatorFactory()
                                        .newInstance(
                                                TextRequest.class,
                                                TextResult.class,
                                                model,
                                                Map.of("max_new_tokens", "16")))) {
            SamplingParameters sampling = SamplingParameters.of(3, 7, 16);
            ChatRequest chat =
                    new ChatRequest(
                            List.of(ChatMessage.user("word")),
                            List.of(),
                            Map.of(),
                            "upper",
                            sampling);
            // at this temperature another prompt gives other tokens
            Assert.assertEquals(
                    chats.predict(chat).tokens(),
                    texts.predict(new TextRequest("word=", "upper", sampling)).tokens());
        }
    }

    @Test
    public void testServing() throws TranslateException {
        try (Predictor<Input, Output> predictor =
                model.newPredictor(
                        new TextGenerationTranslatorFactory()
                                .newInstance(Input.class, Output.class, model, Map.of()))) {
            List<Output> outputs =
                    predictor.batchPredict(
                            List.of(
                                    json(
                                            "{'messages': [{'role': 'user', 'content': 'chat'}],"
                                                    + " 'adapter': 'upper'}"),
                                    json("{'messages': [{'role': 'system', 'content': 'x'}]}"),
                                    json("{'inputs': 'chat=', 'adapter': 'reverse'}")));
            Assert.assertEquals(answer(outputs.get(0)), "CHAT");
            Assert.assertEquals(outputs.get(1).getCode(), 400);
            Assert.assertEquals(
                    outputs.get(1).getMessage(),
                    "the model's chat template refuses the messages: the demo answers one message"
                            + " of a user, found 1");
            Assert.assertEquals(answer(outputs.get(2)), "tahc");
        }
    }

    @Test
    public void testFailuresNameTheRequest() throws TranslateException {
        try (Predictor<ChatRequest, TextResult> predictor = model.newPredictor()) {
            TranslateException e =
                    Assert.expectThrows(
                            TranslateException.class,
                            () ->
                                    predictor.batchPredict(
                                            List.of(
                                                    request("a", ""),
                                                    new ChatRequest(List.of(), ""))));
            Assert.assertEquals(e.getMessage(), "requests[1]: messages is empty; one is needed");
            Assert.assertEquals(e.getCause().getClass(), GenerationRequestException.class);
            e =
                    Assert.expectThrows(
                            TranslateException.class,
                            () -> predictor.predict(request("\ud800", "")));
            Assert.assertEquals(
                    e.getMessage(),
                    "requests[0]: messages: the text's character 3 is half a surrogate pair"
                            + " (0xd800); text must be valid Unicode");
        }
    }

    @Test
    public void testAModelWithoutATemplateCannotChat() throws IOException, ModelException {
        Path golden = Path.of("../src/test/resources/goldens/qwen2/model");
        try (TemporaryFolder folder = new TemporaryFolder()) {
            for (String file : List.of("config.json", "model.safetensors")) {
                Files.copy(golden.resolve(file), folder.path().resolve(file));
            }
            TokenizerFiles.writeCharacters(folder.path());
            Criteria<TextRequest, TextResult> criteria =
                    Criteria.builder()
                            .setTypes(TextRequest.class, TextResult.class)
                            .optModelPath(folder.path())
                            .optTranslatorFactory(new TextGenerationTranslatorFactory())
                            .optArgument("backend", "pytorch")
                            .optArgument("dtype", "float32")
                            .build();
            try (ZooModel<TextRequest, TextResult> plain = criteria.loadModel()) {
                TranslateException e =
                        Assert.expectThrows(
                                TranslateException.class,
                                () ->
                                        new TextGenerationTranslatorFactory()
                                                .newInstance(
                                                        ChatRequest.class,
                                                        TextResult.class,
                                                        plain,
                                                        Map.of()));
                Assert.assertTrue(
                        e.getMessage()
                                .endsWith(
                                        " has no chat template; a conversation needs"
                                                + " chat_template.jinja or chat_template in"
                                                + " tokenizer_config.json"),
                        e.getMessage());
            }
        }
    }

    private static String answer(Output output) {
        Assert.assertEquals(output.getCode(), 200, output.getMessage());
        JsonObject answer = JsonParser.parseString(output.getAsString(0)).getAsJsonObject();
        return answer.get("generated_text").getAsString();
    }

    private static Input json(String body) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        input.add("data", body.replace('\'', '"'));
        return input;
    }
}
