/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.UnavailablePolicy;

/**
 * Asks how likely a text is: the log-probability of each of its tokens given those before it, as of
 * the model's plain softmax.
 *
 * <p>An adapter with invocation tokens acts from their last place in the whole text on, as in PEFT
 * when the text is run at once.
 *
 * @param tokens the token ids of the whole text
 * @param from the first token that is scored, at least 1: a text's first token has none before it.
 *     With a prompt and its continuation it is the number of the prompt's tokens
 * @param adapter the name of the adapter; empty or null for the base model
 * @param unavailable what happens when the adapter cannot be had; null for what the adapters' store
 *     says
 */
public record ScoringRequest(int[] tokens, int from, String adapter, UnavailablePolicy unavailable)
        implements ReadRequest<ScoringResult> {

    /**
     * Constructs a new {@code ScoringRequest} instance.
     *
     * @param tokens the token ids of the whole text
     * @param from the first token that is scored, at least 1
     * @param adapter the name of the adapter; empty or null for the base model
     * @param unavailable what happens when the adapter cannot be had; null for what the adapters'
     *     store says
     */
    public ScoringRequest {
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code ScoringRequest} instance that does as the adapters' store says when
     * the adapter cannot be had.
     *
     * @param tokens the token ids of the whole text
     * @param from the first token that is scored, at least 1
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public ScoringRequest(int[] tokens, int from, String adapter) {
        this(tokens, from, adapter, null);
    }
}
