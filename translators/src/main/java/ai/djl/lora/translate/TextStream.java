/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.engine.GeneratedToken;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * An answer that is read token by token while it is written. For one thread at a time.
 *
 * <p>The texts of all chunks, put together, are the text of the {@link #result()}. Reading may
 * throw the reason why there is no more: a {@link ai.djl.lora.LoraException}, or {@link
 * java.util.concurrent.CancellationException} when the model was closed.
 */
public final class TextStream implements Iterator<TextChunk>, AutoCloseable {

    private final StreamedAnswer answer;
    private final Iterator<GeneratedToken> tokens;

    /**
     * Constructs a new {@code TextStream} instance.
     *
     * @param answer the answer, which has begun
     */
    TextStream(StreamedAnswer answer) {
        this.answer = answer;
        this.tokens = answer.handle().iterator();
    }

    /** {@inheritDoc} */
    @Override
    public boolean hasNext() {
        return tokens.hasNext();
    }

    /** {@inheritDoc} */
    @Override
    public TextChunk next() {
        if (!tokens.hasNext()) {
            throw new NoSuchElementException("The answer has no more tokens");
        }
        return answer.chunk(tokens.next());
    }

    void await() {
        answer.await();
    }

    /**
     * Waits for the end of the answer.
     *
     * @return the whole answer, whatever of it was read
     */
    public TextResult result() {
        return answer.result();
    }

    /** Ends the answer where it stands. Has no effect when it has ended. */
    @Override
    public void close() {
        answer.handle().cancel();
    }
}
