/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationResult;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A request that an engine has taken, or one of several answers to it: its tokens as they come, its
 * end, and the means to end it early. May be used by several threads.
 */
public final class GenerationHandle implements Iterable<GeneratedToken> {

    private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();
    private final TokenStream stream = new TokenStream();
    private final AtomicBoolean cancelled;
    private final Runnable wake;
    private volatile RuntimeException reason;

    /**
     * Constructs a new {@code GenerationHandle} instance.
     *
     * @param cancelled becomes true when the request is cancelled, for all of its answers
     * @param wake tells the engine that it was
     */
    GenerationHandle(AtomicBoolean cancelled, Runnable wake) {
        this.cancelled = cancelled;
        this.wake = wake;
    }

    /**
     * Returns the end of the request.
     *
     * @return completes with the whole answer, or with the reason why there is none: a {@link
     *     ai.djl.lora.LoraException}, or {@link java.util.concurrent.CancellationException} after
     *     {@link #cancel()}
     */
    public CompletableFuture<GenerationResult> result() {
        // a copy: nobody but the engine ends a request
        return result.copy();
    }

    /**
     * Waits for the end of the request.
     *
     * @return the whole answer
     * @throws RuntimeException the reason why there is none
     */
    public GenerationResult join() {
        // not result.join(), which newer JDKs let wrap a cancellation in one of their own
        GenerationResult answer = result.exceptionally(failure -> null).join();
        if (reason != null) {
            throw reason;
        }
        return answer;
    }

    /**
     * Returns the tokens as they come, from the first on, for each subscriber.
     *
     * @return the tokens; it ends with the request, with its reason if it fails. Subscribers are
     *     called on the engine's thread or the one that asks for more, and should be quick
     */
    public Flow.Publisher<GeneratedToken> tokens() {
        return stream;
    }

    /**
     * Returns the tokens as they come, from the first on.
     *
     * @return an iterator that waits for the next token; when the request fails it throws the
     *     reason
     */
    @Override
    public Iterator<GeneratedToken> iterator() {
        return stream.iterator();
    }

    /**
     * Ends the request at the next step, with all of its answers. Has no effect when it has ended.
     */
    public void cancel() {
        cancelled.set(true);
        wake.run();
    }

    boolean isEnded() {
        return result.isDone();
    }

    void publish(GeneratedToken token) {
        stream.add(token);
    }

    void complete(GenerationResult answer) {
        stream.end(null);
        result.complete(answer);
    }

    void fail(RuntimeException why) {
        reason = why;
        stream.end(why);
        result.completeExceptionally(why);
    }
}
