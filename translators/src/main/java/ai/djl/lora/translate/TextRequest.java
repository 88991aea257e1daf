/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.SamplingParameters;

/**
 * A prompt, the adapter that is to answer it, and how.
 *
 * @param prompt the text that the answer continues
 * @param adapter the name of the adapter; empty or null for the base model
 * @param sampling how tokens are chosen; null for the translator's own parameters
 */
public record TextRequest(String prompt, String adapter, SamplingParameters sampling)
        implements GenerationInput {

    /**
     * Constructs a new {@code TextRequest} instance.
     *
     * @param prompt the text that the answer continues
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen; null for the translator's own parameters
     */
    public TextRequest {
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code TextRequest} instance that leaves sampling to the translator.
     *
     * @param prompt the text that the answer continues
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public TextRequest(String prompt, String adapter) {
        this(prompt, adapter, null);
    }
}
