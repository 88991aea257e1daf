/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

/**
 * What a format leaves to the base model to say.
 *
 * <p>llama.cpp stores the rows of the query and key projections of Llama models in another order,
 * which only the numbers of heads undo, and a GGUF adapter does not hold them.
 *
 * @param heads the attention heads of the base model, {@code num_attention_heads}
 * @param kvHeads its key and value heads, {@code num_key_value_heads}
 */
public record FormatHints(int heads, int kvHeads) {

    /**
     * Constructs a new {@code FormatHints} instance.
     *
     * @param heads the attention heads of the base model
     * @param kvHeads its key and value heads
     * @throws IllegalArgumentException if a number is not positive, or the heads are no multiple of
     *     the key and value heads
     */
    public FormatHints {
        if (heads <= 0 || kvHeads <= 0 || heads % kvHeads != 0) {
            throw new IllegalArgumentException(
                    "heads must be a positive multiple of kvHeads, found "
                            + heads
                            + " and "
                            + kvHeads);
        }
    }
}
