/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.Substitution;
import java.util.Optional;

/**
 * What a request was answered with.
 *
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param tokens the new token ids, without the prompt; with {@link FinishReason#STOP} the last one
 *     is the end-of-text token, as Hugging Face's {@code generate} returns it
 * @param finishReason why the sequence ended
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why, where it could not be had and a
 *     policy allowed that; empty where the adapter itself answered
 */
public record GenerationResult(
        String adapter,
        int[] tokens,
        FinishReason finishReason,
        String revision,
        Optional<Substitution> substitution) {}
