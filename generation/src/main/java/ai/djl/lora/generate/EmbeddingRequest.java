/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.UnavailablePolicy;

/**
 * Asks for a vector of a text: its tokens' states behind the model's last norm (transformers'
 * {@code last_hidden_state}), pooled.
 *
 * @param tokens the token ids of the text
 * @param pooling how one vector is made of the tokens'
 * @param normalize whether the vector is divided by its length
 * @param adapter the name of the adapter; empty or null for the base model
 * @param unavailable what happens when the adapter cannot be had; null for what the adapters' store
 *     says
 */
public record EmbeddingRequest(
        int[] tokens,
        Pooling pooling,
        boolean normalize,
        String adapter,
        UnavailablePolicy unavailable)
        implements ReadRequest<EmbeddingResult> {

    /**
     * Constructs a new {@code EmbeddingRequest} instance.
     *
     * @param tokens the token ids of the text
     * @param pooling how one vector is made of the tokens'
     * @param normalize whether the vector is divided by its length
     * @param adapter the name of the adapter; empty or null for the base model
     * @param unavailable what happens when the adapter cannot be had; null for what the adapters'
     *     store says
     */
    public EmbeddingRequest {
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code EmbeddingRequest} instance that does as the adapters' store says when
     * the adapter cannot be had.
     *
     * @param tokens the token ids of the text
     * @param pooling how one vector is made of the tokens'
     * @param normalize whether the vector is divided by its length
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public EmbeddingRequest(int[] tokens, Pooling pooling, boolean normalize, String adapter) {
        this(tokens, pooling, normalize, adapter, null);
    }
}
