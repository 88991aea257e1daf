/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

/**
 * One row of a batch: a prompt, the adapter that is to answer it, and how.
 *
 * @param promptTokens the token ids of the prompt, at least one
 * @param adapter the name of the adapter; empty or null for the base model
 * @param sampling how tokens are chosen
 */
public record GenerationRequest(int[] promptTokens, String adapter, SamplingParameters sampling) {

    /**
     * Constructs a new {@code GenerationRequest} instance.
     *
     * @param promptTokens the token ids of the prompt, at least one
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen
     */
    public GenerationRequest {
        adapter = adapter == null ? "" : adapter;
    }
}
