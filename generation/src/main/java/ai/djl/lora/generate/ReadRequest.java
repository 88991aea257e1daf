/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.UnavailablePolicy;

/**
 * A text that is read and not continued: what the model makes of it is the answer.
 *
 * @param <R> what it is answered with
 */
public sealed interface ReadRequest<R> permits ScoringRequest, EmbeddingRequest {

    /**
     * Returns the token ids of the text.
     *
     * @return the token ids, at least one and at most as many as the model has positions
     */
    int[] tokens();

    /**
     * Returns who reads it.
     *
     * @return the name of the adapter, empty for the base model
     */
    String adapter();

    /**
     * Returns what happens when the adapter cannot be had.
     *
     * @return the policy; null for what the adapters' store says
     */
    UnavailablePolicy unavailable();
}
