/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import ai.djl.lora.LoraConfigurationException;
import java.util.function.Consumer;

/**
 * What a request for text may ask of the server. Routes that generate text ask {@link #check} once
 * they know a prompt's tokens, and {@link #admitAdapter} once they know the adapter.
 *
 * @param promptTokens the tokens of a prompt
 * @param newTokens the tokens of an answer
 * @param answers the answers of a request, over all of its prompts
 * @param rate counts a request for an adapter ("" for the base model), and throws a failure of
 *     status 429 where there are too many
 */
public record InferenceLimits(int promptTokens, int newTokens, int answers, Consumer<String> rate) {

    /** The limits where nothing else is said: what the model and its memory allow, 128 answers. */
    public static final InferenceLimits DEFAULTS =
            new InferenceLimits(Integer.MAX_VALUE, Integer.MAX_VALUE, 128, adapter -> {});

    /**
     * Constructs a new {@code InferenceLimits} instance.
     *
     * @param promptTokens the tokens of a prompt
     * @param newTokens the tokens of an answer
     * @param answers the answers of a request, over all of its prompts
     * @param rate counts a request for an adapter
     * @throws LoraConfigurationException if a number is not above 0
     */
    public InferenceLimits {
        if (promptTokens < 1 || newTokens < 1 || answers < 1) {
            throw new LoraConfigurationException(
                    "promptTokens, newTokens and answers are "
                            + promptTokens
                            + ", "
                            + newTokens
                            + " and "
                            + answers
                            + "; each must be 1 or more");
        }
    }

    /**
     * Refuses a prompt that is too long, or that asks for too much.
     *
     * @param prompt the tokens of the prompt
     * @param wanted the tokens that its answer may have
     * @throws HttpFailure of status 400, naming what is allowed
     */
    public void check(int prompt, int wanted) {
        if (prompt > promptTokens) {
            throw HttpFailure.badRequest(
                    "prompt", "the prompt has " + prompt + " tokens, allowed are " + promptTokens);
        }
        if (wanted > newTokens) {
            throw HttpFailure.badRequest(
                    "max_tokens", "max_tokens is " + wanted + ", allowed are " + newTokens);
        }
    }

    /**
     * Refuses a request for too many answers.
     *
     * @param wanted the answers, over all of its prompts
     * @throws HttpFailure of status 400, naming what is allowed
     */
    public void checkAnswers(int wanted) {
        if (wanted > answers) {
            throw HttpFailure.badRequest(
                    "n", "the request asks for " + wanted + " answers, allowed are " + answers);
        }
    }

    /**
     * Counts a request for an adapter.
     *
     * @param adapter its name; "" for the base model
     * @throws HttpFailure of status 429, with when to come again, if there are too many
     */
    public void admitAdapter(String adapter) {
        rate.accept(adapter);
    }

    /**
     * Returns the same limits with rates.
     *
     * @param counter counts a request for an adapter, and throws where there are too many
     * @return the limits
     */
    public InferenceLimits withRate(Consumer<String> counter) {
        return new InferenceLimits(promptTokens, newTokens, answers, counter);
    }
}
