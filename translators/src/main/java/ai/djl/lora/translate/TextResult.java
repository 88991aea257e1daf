/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.FinishReason;

/**
 * The answer to a {@link TextRequest}.
 *
 * @param text the new text, such that the prompt and this make the whole; special tokens are left
 *     out
 * @param tokens the new token ids; with {@link FinishReason#STOP} the last one is the end-of-text
 *     token
 * @param adapter the name of the adapter that answered, empty for the base model
 * @param finishReason why the text ended
 */
public record TextResult(String text, int[] tokens, String adapter, FinishReason finishReason) {}
