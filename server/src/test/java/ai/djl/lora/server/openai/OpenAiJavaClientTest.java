/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.server.DemoServer;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionTokenLogprob;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.models.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** A conversation with the server through OpenAI's own client for Java, told nothing but a URL. */
public class OpenAiJavaClientTest {

    private DemoServer demo;
    private OpenAIClient client;

    @BeforeClass
    public void start() throws Exception {
        demo = new DemoServer();
        client =
                OpenAIOkHttpClient.builder()
                        .baseUrl(demo.server().uri() + "/v1")
                        .apiKey("none")
                        .maxRetries(0)
                        .build();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        client.close();
        demo.close();
    }

    private static ChatCompletionCreateParams.Builder chat(String model, String text) {
        return ChatCompletionCreateParams.builder()
                .model(model)
                .temperature(0)
                .addUserMessage(text);
    }

    private String say(String model, String text) {
        ChatCompletion answer = client.chat().completions().create(chat(model, text).build());
        return answer.choices().get(0).message().content().orElseThrow();
    }

    @Test
    public void testAdapters() {
        Assert.assertEquals(say("upper", "hello"), "HELLO");
        Assert.assertEquals(say("demo:reverse", "planet"), "tenalp");
        Assert.assertEquals(say("demo", "lora"), "lora");
    }

    @Test
    public void testAnswer() {
        var response =
                client.chat()
                        .completions()
                        .withRawResponse()
                        .create(chat("upper", "hello").n(2).store(false).build());
        Assert.assertEquals(response.headers().values("X-Adapter"), List.of("upper"));
        Assert.assertEquals(
                response.headers().values("X-Adapter-Revision"),
                List.of(demo.server().model().adapters().state("upper").revision()));
        ChatCompletion answer = response.parse();
        Assert.assertEquals(answer.model(), "upper");
        Assert.assertEquals(answer.choices().size(), 2);
        Assert.assertEquals(
                answer.choices().get(1).finishReason(), ChatCompletion.Choice.FinishReason.STOP);
        Assert.assertEquals(answer.usage().orElseThrow().completionTokens(), 12);
        answer.validate();
    }

    @Test
    public void testStreaming() {
        ChatCompletionAccumulator whole = ChatCompletionAccumulator.create();
        long usage = 0;
        ChatCompletionCreateParams params =
                chat("reverse", "hello")
                        .streamOptions(
                                ChatCompletionStreamOptions.builder().includeUsage(true).build())
                        .build();
        try (StreamResponse<ChatCompletionChunk> stream =
                client.chat().completions().createStreaming(params)) {
            for (ChatCompletionChunk chunk :
                    (Iterable<ChatCompletionChunk>) stream.stream()::iterator) {
                chunk.validate();
                whole.accumulate(chunk);
                usage += chunk.usage().map(each -> each.completionTokens()).orElse(0L);
            }
        }
        ChatCompletion answer = whole.chatCompletion();
        Assert.assertEquals(answer.choices().get(0).message().content().orElseThrow(), "olleh");
        Assert.assertEquals(usage, 6);
    }

    @Test
    public void testErrors() {
        NotFoundException unknown =
                Assert.expectThrows(NotFoundException.class, () -> say("nobody", "hello"));
        Assert.assertEquals(unknown.code().orElse(""), "model_not_found");
        Assert.assertEquals(unknown.param().orElse(""), "model");
        BadRequestException hot =
                Assert.expectThrows(
                        BadRequestException.class,
                        () ->
                                client.chat()
                                        .completions()
                                        .create(chat("upper", "hello").topP(7).build()));
        Assert.assertEquals(hot.param().orElse(""), "top_p");
        BadRequestException tooLong =
                Assert.expectThrows(
                        BadRequestException.class,
                        () ->
                                client.chat()
                                        .completions()
                                        .createStreaming(chat("upper", "a".repeat(500)).build()));
        Assert.assertEquals(tooLong.code().orElse(""), "context_length_exceeded");
    }

    @Test
    public void testCancellation() throws Exception {
        // for itself: the other tests may run the shared engine
        EngineStatistics before = demo.server().model().engine().statistics();
        ChatCompletionCreateParams params =
                chat("upper", "hello")
                        .n(128)
                        .maxCompletionTokens(100)
                        .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
                        .build();
        try (StreamResponse<ChatCompletionChunk> stream =
                client.chat().completions().createStreaming(params)) {
            Assert.assertTrue(stream.stream().findFirst().isPresent());
        }
        EngineStatistics after = demo.server().model().engine().statistics();
        while (after.running() + after.waiting() > 0) {
            Thread.sleep(10);
            after = demo.server().model().engine().statistics();
        }
        long tokens = after.newTokens() - before.newTokens();
        Assert.assertTrue(tokens < 128 * 100, "all " + tokens + " tokens were written");
    }

    @Test
    public void testLogProbs() {
        ChatCompletion answer =
                client.chat()
                        .completions()
                        .create(chat("upper", "hello").logprobs(true).topLogprobs(2).build());
        List<ChatCompletionTokenLogprob> tokens =
                answer.choices().get(0).logprobs().orElseThrow().content().orElseThrow();
        StringBuilder text = new StringBuilder();
        for (ChatCompletionTokenLogprob token : tokens) {
            text.append(token.token());
            Assert.assertEquals(token.topLogprobs().size(), 2);
            Assert.assertTrue(token.logprob() <= 0);
        }
        Assert.assertEquals(text.toString(), "HELLO");
        Completion completion =
                client.completions()
                        .create(
                                CompletionCreateParams.builder()
                                        .model("upper")
                                        .prompt("hello=")
                                        .temperature(0)
                                        .logprobs(2)
                                        .build());
        Assert.assertEquals(completion.choices().get(0).text(), "HELLO");
        Assert.assertEquals(
                completion.choices().get(0).logprobs().orElseThrow().tokens().orElseThrow(),
                List.of("H", "E", "L", "L", "O", ""));
    }

    /** What the answer is to be read as. */
    public static final class Verdict {
        /** One of two. */
        public boolean good;

        /** One of three. */
        public Colour colour;
    }

    /** Three colours. */
    public enum Colour {
        RED,
        GREEN,
        BLUE
    }

    @Test
    public void testStructuredOutput() {
        Verdict verdict =
                client.chat()
                        .completions()
                        .create(
                                chat("demo", "hello")
                                        .temperature(1)
                                        .maxCompletionTokens(100)
                                        .responseFormat(Verdict.class)
                                        .build())
                        .choices()
                        .get(0)
                        .message()
                        .content()
                        .orElseThrow();
        Assert.assertNotNull(verdict.colour);
    }

    @Test
    public void testTokensAndLists() {
        Completion texts =
                client.completions()
                        .create(
                                CompletionCreateParams.builder()
                                        .model("upper")
                                        .promptOfArrayOfStrings(List.of("hello=", "quartz="))
                                        .temperature(0)
                                        .build());
        Assert.assertEquals(texts.choices().get(1).text(), "QUARTZ");
    }

    @Test
    public void testEmbeddings() {
        CreateEmbeddingResponse vectors =
                client.embeddings()
                        .create(
                                EmbeddingCreateParams.builder()
                                        .model("upper")
                                        .inputOfArrayOfStrings(List.of("hello", "planet"))
                                        .build());
        Assert.assertEquals(vectors.data().size(), 2);
        Assert.assertEquals(vectors.data().get(1).embedding().size(), 256);
        CreateEmbeddingResponse packed =
                client.embeddings()
                        .create(
                                EmbeddingCreateParams.builder()
                                        .model("upper")
                                        .input("planet")
                                        .encodingFormat(EmbeddingCreateParams.EncodingFormat.BASE64)
                                        .build());
        Assert.assertEquals(packed.data().get(0).embedding(), vectors.data().get(1).embedding());
    }

    @Test
    public void testModels() {
        List<String> ids = new ArrayList<>();
        client.models().list().autoPager().forEach(model -> ids.add(model.id()));
        Assert.assertTrue(ids.containsAll(List.of("demo", "upper", "reverse")), ids.toString());
        Model upper = client.models().retrieve("upper");
        Assert.assertEquals(upper.ownedBy(), "djl-lora");
        upper.validate();
    }

    @Test
    public void testManyAtOnce() throws Exception {
        List<String> adapters = List.of("upper", "reverse", "demo");
        List<String> answers = List.of("HELLO", "olleh", "hello");
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<CompletableFuture<String>> said = new ArrayList<>();
            for (int i = 0; i < 48; ++i) {
                String adapter = adapters.get(i % 3);
                said.add(CompletableFuture.supplyAsync(() -> say(adapter, "hello"), threads));
            }
            for (int i = 0; i < said.size(); ++i) {
                Assert.assertEquals(said.get(i).get(60, TimeUnit.SECONDS), answers.get(i % 3));
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
