/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

/**
 * What a request was answered with.
 *
 * @param adapter the name of the adapter that answered, empty for the base model
 * @param tokens the new token ids, without the prompt; with {@link FinishReason#STOP} the last one
 *     is the end-of-text token, as Hugging Face's {@code generate} returns it
 * @param finishReason why the sequence ended
 */
public record GenerationResult(String adapter, int[] tokens, FinishReason finishReason) {}
