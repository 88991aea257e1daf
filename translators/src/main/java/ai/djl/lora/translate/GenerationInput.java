/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.SamplingParameters;

/** What a text is generated for. */
sealed interface GenerationInput permits TextRequest, ChatRequest {

    /** Returns the name of the adapter; empty for the base model. */
    String adapter();

    /** Returns how tokens are chosen; null for the translator's own parameters. */
    SamplingParameters sampling();
}
