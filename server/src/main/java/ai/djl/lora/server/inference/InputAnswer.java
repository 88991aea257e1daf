/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.translate.TextResult;

/**
 * The answers to an input.
 *
 * @param adapter the adapter's name in answers; "" for the base model
 * @param result the first of them, which has the others
 * @param promptTokens the tokens of the prompt
 */
public record InputAnswer(String adapter, TextResult result, int promptTokens) {

    /**
     * Returns how many tokens the answers have.
     *
     * @return the tokens of all answers together
     */
    public int newTokens() {
        return result.answers().stream().mapToInt(answer -> answer.tokens().length).sum();
    }
}
