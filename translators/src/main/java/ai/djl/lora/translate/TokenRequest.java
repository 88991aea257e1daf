/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.SamplingParameters;

/**
 * A prompt that is tokens already, the adapter that is to answer it, and how. The answer is text.
 *
 * @param tokens the prompt's token ids, with the special tokens that the model expects
 * @param adapter the name of the adapter; empty or null for the base model
 * @param sampling how tokens are chosen; null for the translator's own parameters
 */
public record TokenRequest(int[] tokens, String adapter, SamplingParameters sampling)
        implements GenerationInput {

    /**
     * Constructs a new {@code TokenRequest} instance.
     *
     * @param tokens the prompt's token ids
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen; null for the translator's own parameters
     */
    public TokenRequest {
        adapter = adapter == null ? "" : adapter;
    }
}
