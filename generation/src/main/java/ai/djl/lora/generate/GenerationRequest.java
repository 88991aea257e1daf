/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.generate.sampling.SamplingParameters;

/**
 * One row of a batch: a prompt, the adapter that is to answer it, and how.
 *
 * @param promptTokens the token ids of the prompt, at least one
 * @param adapter the name of the adapter; empty or null for the base model
 * @param sampling how tokens are chosen
 * @param unavailable what happens when the adapter cannot be had; null for what the adapters' store
 *     says
 */
public record GenerationRequest(
        int[] promptTokens,
        String adapter,
        SamplingParameters sampling,
        UnavailablePolicy unavailable) {

    /**
     * Constructs a new {@code GenerationRequest} instance.
     *
     * @param promptTokens the token ids of the prompt, at least one
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen
     * @param unavailable what happens when the adapter cannot be had; null for what the adapters'
     *     store says
     */
    public GenerationRequest {
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code GenerationRequest} instance that does as the adapters' store says
     * when the adapter cannot be had.
     *
     * @param promptTokens the token ids of the prompt, at least one
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen
     */
    public GenerationRequest(int[] promptTokens, String adapter, SamplingParameters sampling) {
        this(promptTokens, adapter, sampling, null);
    }
}
