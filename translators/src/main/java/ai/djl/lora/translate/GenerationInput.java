/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.SamplingParameters;

/** What a text is generated for. */
public sealed interface GenerationInput permits TextRequest, TokenRequest, ChatRequest {

    /**
     * Returns the adapter.
     *
     * @return its name; empty for the base model
     */
    String adapter();

    /**
     * Returns how tokens are chosen.
     *
     * @return the parameters; null for those that hold where nothing is said
     */
    SamplingParameters sampling();
}
