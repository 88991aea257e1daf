/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.inference.streaming.ChunkedBytesSupplier;
import ai.djl.lora.generate.engine.GeneratedToken;
import ai.djl.modality.Input;
import ai.djl.ndarray.BytesSupplier;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Flow;
import java.util.function.Supplier;

/**
 * Writes an answer as DJL LMI streams it ({@code application/jsonlines}): a line for each token,
 * with the whole text and details in the last one; a failure is a last line with the token -1. An
 * empty chunk ends them.
 *
 * <p>Called on the engine's thread, it only hands tokens on: lines are made by whoever reads them.
 * That the client has gone is seen with the next token.
 */
final class JsonLines implements Flow.Subscriber<GeneratedToken> {

    private final StreamedAnswer answer;
    private final Input input;
    private final ChunkedBytesSupplier content;
    private GeneratedToken last;
    private int count;

    /**
     * Constructs a new {@code JsonLines} instance.
     *
     * @param answer the answer
     * @param input the client's request
     * @param content takes the lines
     */
    JsonLines(StreamedAnswer answer, Input input, ChunkedBytesSupplier content) {
        this.answer = answer;
        this.input = input;
        this.content = content;
    }

    /** A line that is made when it is read. */
    private record Line(Supplier<JsonObject> json) implements BytesSupplier {

        /** {@inheritDoc} */
        @Override
        public byte[] getAsBytes() {
            return (json.get() + "\n").getBytes(StandardCharsets.UTF_8);
        }

        /** {@inheritDoc} */
        @Override
        public ByteBuffer toByteBuffer() {
            return ByteBuffer.wrap(getAsBytes());
        }
    }

    /** {@inheritDoc} */
    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        subscription.request(Long.MAX_VALUE);
    }

    /** {@inheritDoc} */
    @Override
    public void onNext(GeneratedToken token) {
        ++count;
        if (token.finishReason() != null) {
            // its line tells who answered, which is certain at the end
            last = token;
            return;
        }
        if (input.isCancelled()) {
            answer.handle().cancel();
        }
        content.appendContent(new Line(() -> line(token)), false);
    }

    /** {@inheritDoc} */
    @Override
    public void onError(Throwable reason) {
        int tokens = count;
        end(new Line(() -> errorLine(reason, tokens)));
    }

    /** {@inheritDoc} */
    @Override
    public void onComplete() {
        GeneratedToken token = last;
        end(new Line(() -> lastLine(token)));
    }

    /* ChunkedBytesSupplier says that it has no more a moment before it has its last chunk: whoever
     * asks in between would miss a line, but misses nothing of an empty chunk. */
    private void end(Line line) {
        content.appendContent(line, false);
        content.appendContent(new byte[0], true);
    }

    private JsonObject line(GeneratedToken given) {
        return ServingAnswers.token(answer.chunk(given));
    }

    private JsonObject lastLine(GeneratedToken token) {
        TextResult result = answer.result();
        return ServingAnswers.last(answer.chunk(token), result.adapter(), result);
    }

    private JsonObject errorLine(Throwable reason, int tokens) {
        return ServingAnswers.failure(AnswerJson.oneLine(reason), answer.textSoFar(), tokens);
    }
}
