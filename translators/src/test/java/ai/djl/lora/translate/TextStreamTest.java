/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import static ai.djl.lora.translate.DemoModel.json;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.inference.streaming.ChunkedBytesSupplier;
import ai.djl.inference.streaming.StreamingTranslator.StreamOutput;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Reads answers while they are written, through predictors. */
public class TextStreamTest {

    private static final TextGenerationTranslatorFactory FACTORY =
            new TextGenerationTranslatorFactory();
    private static final SamplingParameters GREEDY = SamplingParameters.greedy(16);

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

    private static List<TextChunk> readAll(TextStream stream) {
        List<TextChunk> chunks = new ArrayList<>();
        stream.forEachRemaining(chunks::add);
        return chunks;
    }

    private static String text(List<TextChunk> chunks) {
        return String.join("", chunks.stream().map(TextChunk::text).toList());
    }

    @Test
    public void testAStreamIsTheWholeAnswer() throws TranslateException {
        try (Predictor<TextRequest, TextResult> whole = model.texts();
                Predictor<TextRequest, TextStream> streaming =
                        model.predictor(FACTORY, TextRequest.class, TextStream.class, Map.of())) {
            Assert.assertTrue(streaming.supportsStreaming());
            for (String adapter : List.of("upper", "reverse", "")) {
                TextRequest request = new TextRequest("hello=", adapter, GREEDY);
                TextResult expected = whole.predict(request);
                StreamOutput<TextStream> iterative = streaming.streamingPredict(request);
                StreamOutput<TextStream> async = streaming.streamingPredict(request);
                TextStream template = async.getAsyncOutput();
                async.computeAsyncOutput();
                for (TextStream stream :
                        List.of(
                                iterative.getIterativeOutput(),
                                template,
                                streaming.predict(request))) {
                    List<TextChunk> chunks = readAll(stream);
                    Assert.assertEquals(text(chunks), expected.text());
                    Assert.assertEquals(
                            chunks.stream().mapToInt(TextChunk::token).toArray(),
                            expected.tokens());
                    TextChunk last = chunks.get(chunks.size() - 1);
                    Assert.assertEquals(last.finishReason(), expected.finishReason());
                    Assert.assertTrue(
                            chunks.subList(0, chunks.size() - 1).stream()
                                    .allMatch(chunk -> chunk.finishReason() == null));
                    Assert.assertEquals(stream.result().text(), expected.text());
                    Assert.assertEquals(stream.result().revision(), expected.revision());
                    Assert.assertFalse(stream.hasNext());
                    Assert.expectThrows(NoSuchElementException.class, stream::next);
                }
            }
        }
    }

    @Test
    public void testEachTokenOfAWordIsAChunk() throws TranslateException {
        try (Predictor<String, TextStream> streaming =
                model.predictor(
                        FACTORY,
                        String.class,
                        TextStream.class,
                        Map.of("adapter", "upper", "max_new_tokens", 16))) {
            List<TextChunk> chunks = readAll(streaming.predict("hello="));
            // the demo's tokens are characters, and its answer ends with a token that is no text
            Assert.assertEquals(
                    chunks.stream().map(TextChunk::text).toList(),
                    List.of("H", "E", "L", "L", "O", ""));
        }
    }

    @Test
    public void testConversationsStream() throws TranslateException {
        try (Predictor<ChatRequest, TextStream> streaming =
                model.predictor(
                        FACTORY,
                        ChatRequest.class,
                        TextStream.class,
                        Map.of("max_new_tokens", 16))) {
            List<ChatMessage> messages = List.of(ChatMessage.user("hello"));
            List<TextStream> streams =
                    streaming.batchPredict(
                            List.of(
                                    new ChatRequest(messages, "upper"),
                                    new ChatRequest(messages, "reverse")));
            Assert.assertEquals(text(readAll(streams.get(0))), "HELLO");
            Assert.assertEquals(text(readAll(streams.get(1))), "olleh");
        }
    }

    @Test
    public void testAStopStringIsHeldBackAndEndsTheStream() throws TranslateException {
        SamplingParameters stopped = GREEDY.toBuilder().stopStrings(List.of("LLX", "LO")).build();
        try (Predictor<TextRequest, TextStream> streaming =
                model.predictor(FACTORY, TextRequest.class, TextStream.class, Map.of())) {
            List<TextChunk> chunks =
                    readAll(streaming.predict(new TextRequest("hello=", "upper", stopped)));
            Assert.assertEquals(
                    chunks.stream().map(TextChunk::text).toList(), List.of("H", "E", "", "", "L"));
            Assert.assertEquals(chunks.get(4).finishReason(), FinishReason.STOP);
        }
    }

    @Test
    public void testTheFirstTokenComesBeforeTheOthers() throws Exception {
        Gate gate = new Gate();
        try (DemoModel gated = new DemoModel()) {
            EngineOptions options =
                    EngineOptions.builder().optRecorder(gate).optSpeculation(false).build();
            GenerationEngine engine = GenerationEngine.of(gated.block(), options);
            try (Predictor<TextRequest, TextStream> streaming =
                    gated.predictor(FACTORY, TextRequest.class, TextStream.class, Map.of())) {
                TextStream stream =
                        streaming
                                .streamingPredict(new TextRequest("hello=", "upper", GREEDY))
                                .getIterativeOutput();
                // a step's tokens are there when it has run: the gate holds its end
                Assert.assertEquals(stream.next().text(), "H");
                Assert.assertTrue(engine.statistics().newTokens() < 2);
                gate.release(1);
                Assert.assertEquals(stream.next().text(), "E");
                stream.close();
                gate.open();
                Assert.expectThrows(CancellationException.class, stream::result);
                Assert.expectThrows(CancellationException.class, () -> readAll(stream));
                Assert.assertTrue(engine.drain(Duration.ofSeconds(60)));
                Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            }
        }
    }

    private Predictor<Input, Output> serving(DemoModel of) throws TranslateException {
        return of.predictor(FACTORY, Input.class, Output.class, Map.of("max_new_tokens", 16));
    }

    private static List<JsonObject> lines(Output output) {
        Assert.assertEquals(output.getCode(), 200);
        Assert.assertEquals(output.getProperty("Content-Type", null), "application/jsonlines");
        ChunkedBytesSupplier content = (ChunkedBytesSupplier) output.getData();
        return rest(content);
    }

    /** Reads the lines that are left, behind which there is an empty chunk. */
    private static List<JsonObject> rest(ChunkedBytesSupplier content) {
        List<JsonObject> lines = new ArrayList<>();
        while (true) {
            String chunk = chunk(content);
            if (chunk.isEmpty()) {
                Assert.assertFalse(content.hasNext());
                return lines;
            }
            lines.add(object(chunk));
        }
    }

    /** Reads a chunk, which is one line. */
    private static JsonObject line(ChunkedBytesSupplier content) {
        return object(chunk(content));
    }

    private static JsonObject object(String chunk) {
        Assert.assertEquals(chunk.indexOf('\n'), chunk.length() - 1);
        return JsonParser.parseString(chunk).getAsJsonObject();
    }

    private static String chunk(ChunkedBytesSupplier content) {
        try {
            return new String(content.nextChunk(60, TimeUnit.SECONDS), StandardCharsets.UTF_8);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String tokenText(JsonObject line) {
        return line.getAsJsonObject("token").get("text").getAsString();
    }

    private static JsonObject details(JsonObject line) {
        return line.getAsJsonObject("details");
    }

    @Test
    public void testServingStreamsLines() throws TranslateException {
        String body = "{'inputs': 'hello=', 'adapter': 'upper', 'stream': true}";
        try (Predictor<Input, Output> predictor = serving(model)) {
            StreamOutput<Output> async = predictor.streamingPredict(json(body));
            Output template = async.getAsyncOutput();
            async.computeAsyncOutput();
            List<Output> outputs =
                    predictor.batchPredict(
                            List.of(
                                    json(body),
                                    json("{'inputs': 'hello=', 'adapter': 'reverse'}"),
                                    json(
                                            "{'messages': [{'role': 'user', 'content': 'hello'}],"
                                                    + " 'adapter': 'upper', 'stream': true}")));
            JsonObject whole = object(outputs.get(1));
            Assert.assertEquals(whole.get("generated_text").getAsString(), "olleh");
            String revision = revision("upper");
            for (Output output :
                    List.of(
                            outputs.get(0),
                            outputs.get(2),
                            template,
                            predictor.streamingPredict(json(body)).getIterativeOutput())) {
                List<JsonObject> lines = lines(output);
                Assert.assertEquals(
                        lines.stream().map(TextStreamTest::tokenText).toList(),
                        List.of("H", "E", "L", "L", "O", ""));
                for (JsonObject line : lines.subList(0, 5)) {
                    Assert.assertEquals(line.keySet(), Set.of("token"));
                    Assert.assertTrue(line.getAsJsonObject("token").get("log_prob").isJsonNull());
                    Assert.assertTrue(line.getAsJsonObject("token").get("id").getAsInt() > 3);
                }
                JsonObject last = lines.get(5);
                Assert.assertEquals(last.get("generated_text").getAsString(), "HELLO");
                Assert.assertEquals(
                        details(last).toString(),
                        "{\"finish_reason\":\"stop\",\"generated_tokens\":6,\"adapter\":\"upper\","
                                + "\"adapter_revision\":\""
                                + revision
                                + "\"}");
            }
        }
    }

    private String revision(String adapter) {
        try (AdapterLease lease = model.block().getAdapters().acquire(adapter)) {
            return lease.getRevision();
        }
    }

    @Test
    public void testARequestThatDoesNotAskForAStreamHasNone() throws TranslateException {
        try (Predictor<Input, Output> predictor = serving(model)) {
            for (String flag : List.of("", ", 'stream': false")) {
                Input input = json("{'inputs': 'hello=', 'adapter': 'upper'" + flag + "}");
                Output output = predictor.streamingPredict(input).getIterativeOutput();
                Assert.assertEquals(object(output).get("generated_text").getAsString(), "HELLO");
                StreamOutput<Output> async = predictor.streamingPredict(input);
                output = async.getAsyncOutput();
                async.computeAsyncOutput();
                Assert.assertEquals(object(output).get("generated_text").getAsString(), "HELLO");
            }
        }
    }

    private static JsonObject object(Output output) {
        Assert.assertEquals(output.getProperty("Content-Type", null), "application/json");
        return JsonParser.parseString(output.getData().getAsString()).getAsJsonObject();
    }

    @Test
    public void testWhatIsWrongIsToldBeforeTheStream() throws TranslateException {
        Map<String, String> cases =
                Map.of(
                        "{'inputs': 'hello=', 'adapter': 'nobody', 'stream': true}",
                        "Unknown adapter \"nobody\"; registered are [reverse, upper]",
                        "{'inputs': ['hello='], 'stream': true}",
                        "stream is true and inputs is a list; a text is needed where the answer is"
                                + " streamed",
                        "{'inputs': 'hello=', 'stream': true, 'parameters': {'n': 2}}",
                        "best_of is 2; an answer that is streamed is the only one, so it must be 1",
                        "{'inputs': 'hello=', 'stream': 1}",
                        "stream is 1; true or false is needed");
        try (Predictor<Input, Output> predictor = serving(model)) {
            for (Map.Entry<String, String> one : cases.entrySet()) {
                Output output = predictor.predict(json(one.getKey()));
                int code = one.getKey().contains("nobody") ? 424 : 400;
                Assert.assertEquals(output.getCode(), code);
                Assert.assertEquals(output.getMessage(), one.getValue());
                Assert.assertEquals(object(output).get("message").getAsString(), one.getValue());
            }
        }
    }

    @Test
    public void testAStreamEndsWithItsReader() throws Exception {
        Gate gate = new Gate();
        try (DemoModel gated = new DemoModel()) {
            EngineOptions options =
                    EngineOptions.builder()
                            .optRecorder(gate)
                            .optSpeculation(false)
                            .optMaxQueue(1)
                            .build();
            GenerationEngine engine = GenerationEngine.of(gated.block(), options);
            try (Predictor<Input, Output> predictor = serving(gated)) {
                Input input = json("{'inputs': 'hello=', 'adapter': 'upper', 'stream': true}");
                ChunkedBytesSupplier content =
                        (ChunkedBytesSupplier) predictor.predict(input).getData();
                Assert.assertEquals(tokenText(line(content)), "H");
                // while the engine stands still one more may wait, and the next is refused
                Output waits = predictor.predict(json("{'inputs': 'hello=', 'stream': true}"));
                Output refused = predictor.predict(json("{'inputs': 'hello=', 'stream': true}"));
                Assert.assertEquals(refused.getCode(), 503);
                Assert.assertEquals(
                        refused.getMessage(),
                        "1 requests are waiting and 1 may (maxQueue); try again later");
                input.setCancelled(true);
                gate.open();
                List<JsonObject> rest = rest(content);
                // the token that tells of the reader's end, and what the step after it found
                JsonObject last = rest.get(rest.size() - 1);
                Assert.assertTrue(rest.size() <= 2, rest.toString());
                Assert.assertEquals(
                        last.getAsJsonObject("token").toString(),
                        "{\"id\":-1,\"text\":\"\",\"log_prob\":-1,\"special_token\":true,"
                                + "\"error_msg\":\"The request was cancelled\"}");
                Assert.assertEquals(lines(waits).get(0).has("token"), true);
                Assert.assertTrue(engine.drain(Duration.ofSeconds(60)));
            }
        }
    }

    @Test
    public void testAFailureIsToldInTheStream() throws Exception {
        Gate gate = new Gate();
        try (DemoModel gated = new DemoModel()) {
            EngineOptions options =
                    EngineOptions.builder().optRecorder(gate).optSpeculation(false).build();
            GenerationEngine engine = GenerationEngine.of(gated.block(), options);
            try (Predictor<Input, Output> predictor = serving(gated)) {
                ChunkedBytesSupplier content =
                        (ChunkedBytesSupplier)
                                predictor
                                        .predict(
                                                json(
                                                        "{'inputs': 'hello=', 'adapter': 'upper',"
                                                                + " 'stream': true}"))
                                        .getData();
                Assert.assertEquals(tokenText(line(content)), "H");
                Thread closing = new Thread(engine::close);
                closing.start();
                while (closing.getState() != Thread.State.WAITING) {
                    // it has said so to the engine when it waits for the engine's thread
                    TimeUnit.MILLISECONDS.sleep(1);
                }
                gate.open();
                List<JsonObject> rest = rest(content);
                Assert.assertEquals(rest.size(), 1);
                Assert.assertEquals(
                        rest.get(0).toString(),
                        "{\"token\":{\"id\":-1,\"text\":\"\",\"log_prob\":-1,\"special_token\":true,"
                                + "\"error_msg\":\"The engine was closed before the request had"
                                + " ended\"},\"generated_text\":\"H\",\"details\":{"
                                + "\"finish_reason\":\"error\",\"generated_tokens\":1}}");
                closing.join();
            }
        }
    }
}
