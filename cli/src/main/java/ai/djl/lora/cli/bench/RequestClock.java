/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.generate.engine.GeneratedToken;
import java.util.concurrent.Flow;

/** Takes the times of a request's tokens, as the engine hands them on. */
final class RequestClock implements Flow.Subscriber<GeneratedToken> {

    private final long start;
    private volatile long first;
    private volatile long last;
    private volatile int tokens;

    /**
     * Constructs a new {@code RequestClock} instance.
     *
     * @param start when the request came, as {@link System#nanoTime} tells it
     */
    RequestClock(long start) {
        this.start = start;
    }

    /** {@inheritDoc} */
    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        subscription.request(Long.MAX_VALUE);
    }

    /** {@inheritDoc} */
    @Override
    public void onNext(GeneratedToken token) {
        last = System.nanoTime();
        if (token.index() == 0) {
            first = last;
        }
        tokens = token.index() + 1;
    }

    /** {@inheritDoc} */
    @Override
    public void onError(Throwable reason) {
        // the request's handle tells
    }

    /** {@inheritDoc} */
    @Override
    public void onComplete() {
        // the last token was the end
    }

    /** Returns the milliseconds to the first token. */
    double firstMillis() {
        return (first - start) * 1e-6;
    }

    /** Returns the milliseconds between a token and the next, on average. */
    double perTokenMillis() {
        return (last - first) * 1e-6 / Math.max(1, tokens - 1);
    }

    /** Returns the milliseconds to the last token. */
    double totalMillis() {
        return (last - start) * 1e-6;
    }
}
