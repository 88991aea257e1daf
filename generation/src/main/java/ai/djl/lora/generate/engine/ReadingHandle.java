/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.util.concurrent.CompletableFuture;

/**
 * A text that an engine reads: its answer, and the means to end it early. May be used by several
 * threads.
 *
 * @param <R> what it is answered with
 */
public final class ReadingHandle<R> {

    private final GenerationHandle handle;
    private final PromptReader<R> reader;

    /**
     * Constructs a new {@code ReadingHandle} instance.
     *
     * @param handle what the engine has of the request
     * @param reader what is filled until the request ends
     */
    ReadingHandle(GenerationHandle handle, PromptReader<R> reader) {
        this.handle = handle;
        this.reader = reader;
    }

    /**
     * Returns the end of the request.
     *
     * @return completes with the answer, or with the reason why there is none: a {@link
     *     ai.djl.lora.LoraException}, or {@link java.util.concurrent.CancellationException} after
     *     {@link #cancel()}
     */
    public CompletableFuture<R> result() {
        return handle.result().thenApply(reader::result);
    }

    /**
     * Waits for the end of the request.
     *
     * @return the answer
     * @throws RuntimeException the reason why there is none
     */
    public R join() {
        return reader.result(handle.join());
    }

    /** Ends the request at the next step. Has no effect when it has ended. */
    public void cancel() {
        handle.cancel();
    }
}
