/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.FinishReason;
import java.util.Optional;

/**
 * The answer to a {@link TextRequest}.
 *
 * @param text the new text, such that the prompt and this make the whole; special tokens are left
 *     out
 * @param tokens the new token ids; with {@link FinishReason#STOP} the last one is the end-of-text
 *     token
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param finishReason why the text ended
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why; empty where it answered itself
 */
public record TextResult(
        String text,
        int[] tokens,
        String adapter,
        FinishReason finishReason,
        String revision,
        Optional<Substitution> substitution) {}
