/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.engine.AnswerGroup;
import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.generate.engine.GeneratedToken;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;

/** The answers to one request, as they come. May be used by several threads. */
public final class TextAnswers {

    private final TextSubmission submission;
    private final AnswerGroup group;
    private final int promptTokens;

    /**
     * Constructs a new {@code TextAnswers} instance.
     *
     * @param submission what the engine was given
     * @param group what it has of the request
     * @param promptTokens how many tokens the prompt has
     */
    TextAnswers(TextSubmission submission, AnswerGroup group, int promptTokens) {
        this.submission = submission;
        this.group = group;
        this.promptTokens = promptTokens;
    }

    /**
     * Returns how long the prompt is.
     *
     * @return its tokens
     */
    public int promptTokens() {
        return promptTokens;
    }

    /**
     * Returns the beginning of the request.
     *
     * @return completes with who answers when the first step begins, or with the reason why it
     *     never did
     */
    public CompletableFuture<AnsweringRevision> begun() {
        return group.begun();
    }

    /**
     * Returns the end of the request.
     *
     * @return completes with the first or best answer, which has the others, or with the reason why
     *     there is none
     */
    public CompletableFuture<TextResult> result() {
        return group.results().thenApply(submission::finish);
    }

    /**
     * Returns how many answers there are to be read while they are written.
     *
     * @return {@code n}
     * @throws IllegalStateException as {@link #chunks} does
     */
    public int size() {
        return group.answers().size();
    }

    /**
     * Returns one of the answers while it is written.
     *
     * @param index which of the {@code n}, from 0
     * @return what each token adds, from the first on, for each subscriber; called on the engine's
     *     thread or on the one that asks for more
     * @throws IllegalStateException if the best of more answers are wanted, which are known in the
     *     end
     */
    public Flow.Publisher<TextChunk> chunks(int index) {
        Flow.Publisher<GeneratedToken> tokens = group.answers().get(index).tokens();
        return subscriber ->
                tokens.subscribe(
                        new Flow.Subscriber<>() {
                            @Override
                            public void onSubscribe(Flow.Subscription subscription) {
                                subscriber.onSubscribe(subscription);
                            }

                            @Override
                            public void onNext(GeneratedToken token) {
                                subscriber.onNext(submission.chunk(index, token));
                            }

                            @Override
                            public void onError(Throwable failure) {
                                subscriber.onError(failure);
                            }

                            @Override
                            public void onComplete() {
                                subscriber.onComplete();
                            }
                        });
    }

    /** Ends the answers where they stand. Has no effect when they have ended. */
    public void cancel() {
        group.cancel();
    }
}
