/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.Optional;

/**
 * How a server answered a request.
 *
 * @param prompt the request
 * @param begun when it was sent, by {@link System#nanoTime}
 * @param firstNanos how long the first token took; 0 where none came
 * @param nanos how long the whole answer took
 * @param tokens the tokens of the answer
 * @param text the answer
 * @param failure what was wrong in one word: the error's code, or the exception; empty for nothing
 */
record ServerAnswer(
        ServerPrompt prompt,
        long begun,
        long firstNanos,
        long nanos,
        int tokens,
        String text,
        Optional<String> failure) {

    boolean isGood() {
        return failure.isEmpty();
    }

    /** Whether the answer is known to be wrong. */
    boolean isWrong() {
        return isGood() && prompt.expected().filter(right -> !right.equals(text)).isPresent();
    }

    double firstMillis() {
        return firstNanos * 1e-6;
    }

    double millis() {
        return nanos * 1e-6;
    }

    double perTokenMillis() {
        return (nanos - firstNanos) * 1e-6 / (tokens - 1);
    }
}
