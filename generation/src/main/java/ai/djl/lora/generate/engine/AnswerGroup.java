/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The answers to one request that an engine has taken: each as it comes, all of them, and the means
 * to end them early. They end together: when one fails all do, with its reason. May be used by
 * several threads.
 */
public final class AnswerGroup {

    private final CompletableFuture<List<GenerationResult>> results = new CompletableFuture<>();
    private final CompletableFuture<AnsweringRevision> begun = new CompletableFuture<>();
    private final List<GenerationHandle> handles;
    private final int wanted;
    private final AtomicBoolean cancelled = new AtomicBoolean();
    private final Runnable wake;
    private volatile RuntimeException reason;

    /**
     * Constructs a new {@code AnswerGroup} instance.
     *
     * @param sampling says how many answers are generated and how many of them wanted
     * @param wake tells the engine that the request was cancelled
     */
    AnswerGroup(SamplingParameters sampling, Runnable wake) {
        this.wake = wake;
        this.wanted = sampling.n();
        List<GenerationHandle> all = new ArrayList<>(sampling.bestOf());
        for (int i = 0; i < sampling.bestOf(); ++i) {
            all.add(new GenerationHandle(cancelled, wake));
        }
        handles = List.copyOf(all);
    }

    /**
     * Returns the answers one by one, with their tokens as they come. Cancelling one cancels all.
     *
     * @return {@code n} handles, in the order of their seeds
     * @throws IllegalStateException if {@code bestOf} is above {@code n}: which answers are wanted
     *     shows when all have ended
     */
    public List<GenerationHandle> answers() {
        if (handles.size() > wanted) {
            throw new IllegalStateException(
                    "The best "
                            + wanted
                            + " of "
                            + handles.size()
                            + " answers are known when all have ended; there are no tokens before"
                            + " that");
        }
        return handles;
    }

    /**
     * Returns the beginning of the request.
     *
     * @return completes with who answers when the request's adapter is there and its first step
     *     begins, or with the reason why it never did
     */
    public CompletableFuture<AnsweringRevision> begun() {
        return begun.copy();
    }

    /**
     * Returns the end of the request.
     *
     * @return completes with the {@code n} answers, in the order of their seeds; where {@code
     *     bestOf} is above {@code n}, with those whose tokens' log-probabilities have the greatest
     *     sums, the greatest first. Fails with the reason of the first answer that did
     */
    public CompletableFuture<List<GenerationResult>> results() {
        // a copy: nobody but the engine ends a request
        return results.copy();
    }

    /**
     * Waits for the end of the request.
     *
     * @return the answers, as {@link #results()} has them
     * @throws RuntimeException the reason why there are none
     */
    public List<GenerationResult> join() {
        // not results.join(), which newer JDKs let wrap a cancellation in one of their own
        List<GenerationResult> answers = results.exceptionally(failure -> null).join();
        if (reason != null) {
            throw reason;
        }
        return answers;
    }

    /** Ends the request at the next step. Has no effect when it has ended. */
    public void cancel() {
        cancelled.set(true);
        wake.run();
    }

    boolean isCancelled() {
        return cancelled.get();
    }

    GenerationHandle handle(int index) {
        return handles.get(index);
    }

    int size() {
        return handles.size();
    }

    void begin(AnsweringRevision who) {
        begun.complete(who);
    }

    /** Ends the request with the answers of all handles. */
    void complete(List<GenerationResult> all) {
        Comparator<GenerationResult> order = Comparator.comparingInt(GenerationResult::index);
        if (handles.size() > wanted) {
            order =
                    Comparator.comparingDouble(GenerationResult::logProb)
                            .reversed()
                            .thenComparing(order);
        }
        results.complete(all.stream().sorted(order).limit(wanted).toList());
    }

    /** Ends the request, and those of its answers that have not ended. */
    void fail(RuntimeException why) {
        reason = why;
        begun.completeExceptionally(why);
        for (GenerationHandle handle : handles) {
            if (!handle.isEnded()) {
                handle.fail(why);
            }
        }
        results.completeExceptionally(why);
    }
}
