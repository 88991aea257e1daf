/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.generate.engine.EngineClosedException;
import ai.djl.lora.translate.TextAnswers;
import ai.djl.lora.translate.TextResult;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * The answers to one input. When their engine ends before anything of them was sent, another one is
 * asked.
 */
final class InputAnswers {

    private final Supplier<TextAnswers> asking;

    /** Whether what comes is sent as soon as the answers begin. */
    private final boolean streamed;

    private final CompletableFuture<AnsweringRevision> begun = new CompletableFuture<>();
    private final CompletableFuture<TextResult> result = new CompletableFuture<>();
    private TextAnswers current;
    private boolean cancelled;

    private InputAnswers(Supplier<TextAnswers> asking, boolean streamed) {
        this.asking = asking;
        this.streamed = streamed;
    }

    /**
     * Asks for the answers.
     *
     * @param asking asks an engine that takes requests
     * @param streamed whether what comes is sent as soon as the answers begin
     * @return the answers, which come
     */
    static InputAnswers begin(Supplier<TextAnswers> asking, boolean streamed) {
        InputAnswers answers = new InputAnswers(asking, streamed);
        answers.follow(asking.get());
        return answers;
    }

    private void follow(TextAnswers answers) {
        boolean gone;
        synchronized (this) {
            current = answers;
            gone = cancelled;
        }
        if (gone) {
            answers.cancel();
        }
        answers.begun()
                .whenComplete(
                        (who, failure) -> {
                            if (failure == null) {
                                begun.complete(who);
                            }
                        });
        answers.result()
                .whenComplete(
                        (text, failure) -> {
                            if (failure == null) {
                                result.complete(text);
                            } else if (mayAskAgain(failure)) {
                                askAgain();
                            } else {
                                fail(failure);
                            }
                        });
    }

    private synchronized boolean mayAskAgain(Throwable failure) {
        return isOfEngine(failure) && !cancelled && !(streamed && begun.isDone());
    }

    private void askAgain() {
        TextAnswers next;
        try {
            next = asking.get();
        } catch (RuntimeException e) {
            fail(e);
            return;
        }
        follow(next);
    }

    private void fail(Throwable failure) {
        begun.completeExceptionally(failure);
        result.completeExceptionally(failure);
    }

    /**
     * Returns whether a request failed since its engine has ended.
     *
     * @param failure the failure, as futures wrap it
     * @return whether another engine can be asked
     */
    static boolean isOfEngine(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof EngineClosedException) {
                return true;
            }
        }
        return false;
    }

    /** Returns the answers as they come; the same from their beginning on. */
    synchronized TextAnswers current() {
        return current;
    }

    /** Completes with who answers, or with the reason why nobody does. */
    CompletableFuture<AnsweringRevision> begun() {
        return begun;
    }

    /** Completes with the whole answer, or with the reason why there is none. */
    CompletableFuture<TextResult> result() {
        return result;
    }

    /** Ends the answers where they stand. */
    void cancel() {
        TextAnswers answers;
        synchronized (this) {
            cancelled = true;
            answers = current;
        }
        answers.cancel();
    }
}
