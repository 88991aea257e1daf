/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.server.DemoServer;
import com.google.gson.JsonParser;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** A conversation with the server through LangChain4j's client of OpenAI. */
public class LangChain4jClientTest {

    private DemoServer demo;
    private String url;

    @BeforeClass
    public void start() throws Exception {
        demo = new DemoServer();
        url = demo.server().uri() + "/v1";
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    private OpenAiChatModel.OpenAiChatModelBuilder chat(String model) {
        return OpenAiChatModel.builder()
                .baseUrl(url)
                .apiKey("none")
                .modelName(model)
                .temperature(0.0)
                .maxRetries(0);
    }

    private OpenAiStreamingChatModel.OpenAiStreamingChatModelBuilder streaming(String model) {
        return OpenAiStreamingChatModel.builder()
                .baseUrl(url)
                .apiKey("none")
                .modelName(model)
                .temperature(0.0);
    }

    @Test
    public void testAdapters() {
        Assert.assertEquals(chat("upper").build().chat("hello"), "HELLO");
        Assert.assertEquals(chat("reverse").build().chat("planet"), "tenalp");
        Assert.assertEquals(
                chat("demo").customParameters(Map.of("adapter", "upper")).build().chat("quartz"),
                "QUARTZ");
        Assert.assertEquals(
                chat("demo").customHeaders(Map.of("X-Adapter-Id", "upper")).build().chat("hello"),
                "HELLO");
    }

    @Test
    public void testAnswer() {
        ChatResponse answer =
                chat("upper")
                        .maxTokens(3)
                        .seed(1)
                        .user("somebody")
                        .store(false)
                        .build()
                        .chat(
                                ChatRequest.builder()
                                        .messages(
                                                dev.langchain4j.data.message.UserMessage.from(
                                                        "hello"))
                                        .build());
        Assert.assertEquals(answer.aiMessage().text(), "HEL");
        Assert.assertEquals(answer.finishReason(), FinishReason.LENGTH);
        Assert.assertEquals(answer.tokenUsage().outputTokenCount(), Integer.valueOf(3));
    }

    /** Collects a stream; may end it after its first piece. */
    private static final class Pieces implements StreamingChatResponseHandler {

        private final boolean once;
        private final StringBuffer text = new StringBuffer();
        private final CompletableFuture<ChatResponse> end = new CompletableFuture<>();
        private final CompletableFuture<Void> begun = new CompletableFuture<>();

        Pieces(boolean once) {
            this.once = once;
        }

        @Override
        public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            text.append(piece.text());
            if (once) {
                context.streamingHandle().cancel();
            }
            begun.complete(null);
        }

        @Override
        public void onCompleteResponse(ChatResponse response) {
            end.complete(response);
        }

        @Override
        public void onError(Throwable error) {
            end.completeExceptionally(error);
        }
    }

    @Test
    public void testStreaming() throws Exception {
        Pieces pieces = new Pieces(false);
        streaming("reverse").build().chat("hello", pieces);
        ChatResponse response = pieces.end.get(60, TimeUnit.SECONDS);
        Assert.assertEquals(pieces.text.toString(), "olleh");
        Assert.assertEquals(response.aiMessage().text(), "olleh");
        Assert.assertEquals(response.tokenUsage().outputTokenCount(), Integer.valueOf(6));
    }

    @Test
    public void testCancellation() throws Exception {
        long before = demo.server().model().engine().statistics().newTokens();
        Pieces pieces = new Pieces(true);
        streaming("upper")
                .customParameters(Map.of("n", 128, "ignore_eos", true, "max_tokens", 100))
                .build()
                .chat("hello", pieces);
        pieces.begun.get(60, TimeUnit.SECONDS);
        var after = demo.server().model().engine().statistics();
        while (after.running() + after.waiting() > 0) {
            Thread.sleep(10);
            after = demo.server().model().engine().statistics();
        }
        long tokens = after.newTokens() - before;
        Assert.assertTrue(tokens < 128 * 100, "all " + tokens + " tokens were written");
    }

    @Test
    public void testErrors() throws Exception {
        ModelNotFoundException unknown =
                Assert.expectThrows(
                        ModelNotFoundException.class, () -> chat("nobody").build().chat("hello"));
        Assert.assertTrue(unknown.getMessage().contains("nobody"), unknown.getMessage());
        Assert.expectThrows(
                InvalidRequestException.class,
                () -> chat("upper").temperature(-1.0).build().chat("hello"));
        Pieces pieces = new Pieces(false);
        streaming("nobody").build().chat("hello", pieces);
        Throwable failure = pieces.end.handle((answer, error) -> error).get(60, TimeUnit.SECONDS);
        Assert.assertTrue(String.valueOf(failure.getMessage()).contains("nobody"));
    }

    @Test
    public void testStructuredOutput() {
        JsonSchema schema =
                JsonSchema.builder()
                        .name("verdict")
                        .rootElement(
                                JsonObjectSchema.builder()
                                        .addBooleanProperty("good")
                                        .addEnumProperty("colour", List.of("red", "green"))
                                        .required("good", "colour")
                                        .additionalProperties(false)
                                        .build())
                        .build();
        String text =
                chat("upper")
                        .maxTokens(80)
                        .temperature(1.0)
                        .strictJsonSchema(true)
                        .responseFormat(
                                ResponseFormat.builder()
                                        .type(ResponseFormatType.JSON)
                                        .jsonSchema(schema)
                                        .build())
                        .build()
                        .chat("hello");
        var object = JsonParser.parseString(text).getAsJsonObject();
        Assert.assertTrue(object.get("good").getAsJsonPrimitive().isBoolean(), text);
        Assert.assertTrue(
                List.of("red", "green").contains(object.get("colour").getAsString()), text);
    }

    @Test
    public void testLogProbs() {
        ChatResponse answer =
                chat("upper")
                        .logprobs(true)
                        .topLogprobs(2)
                        .build()
                        .chat(
                                ChatRequest.builder()
                                        .messages(
                                                dev.langchain4j.data.message.UserMessage.from(
                                                        "hello"))
                                        .build());
        Assert.assertEquals(answer.aiMessage().text(), "HELLO");
    }

    @Test
    public void testEmbeddings() {
        OpenAiEmbeddingModel model =
                OpenAiEmbeddingModel.builder()
                        .baseUrl(url)
                        .apiKey("none")
                        .modelName("upper")
                        .maxRetries(0)
                        .build();
        float[] vector = model.embed("hello").content().vector();
        Assert.assertEquals(vector.length, 256);
    }
}
