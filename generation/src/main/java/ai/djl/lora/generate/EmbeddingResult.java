/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.Substitution;
import java.util.Optional;

/**
 * A text's vector.
 *
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param vector the vector [hidden]
 * @param tokens the number of the text's tokens
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why; empty where it answered itself
 */
public record EmbeddingResult(
        String adapter,
        float[] vector,
        int tokens,
        String revision,
        Optional<Substitution> substitution) {}
