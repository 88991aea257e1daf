/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.inference.streaming.StreamingTranslator;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * An output that fills by itself, on the engine's thread, from when it is asked for: both of DJL's
 * modes come to the same, and computing it is waiting for its end.
 *
 * @param <O> the output
 */
final class StartedOutput<O> extends StreamingTranslator.StreamOutput<O> {

    private final Supplier<O> start;
    private final Consumer<O> await;

    /**
     * Constructs a new {@code StartedOutput} instance.
     *
     * @param start begins and returns the output
     * @param await waits for the end of the output; does not throw when that was a failure, which
     *     the output tells
     */
    StartedOutput(Supplier<O> start, Consumer<O> await) {
        this.start = start;
        this.await = await;
    }

    /** {@inheritDoc} */
    @Override
    protected O buildAsyncOutput() {
        return start.get();
    }

    /** {@inheritDoc} */
    @Override
    protected void computeAsyncOutputInternal(O output) {
        await.accept(output);
    }

    /** {@inheritDoc} */
    @Override
    public O getIterativeOutputInternal() {
        return start.get();
    }
}
