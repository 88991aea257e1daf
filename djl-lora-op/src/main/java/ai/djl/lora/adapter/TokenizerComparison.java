/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/**
 * How the files beside an adapter's weights relate to those of its base model.
 *
 * @param tokenizer {@code tokenizer.json}
 * @param addedTokens the added tokens and their numbers, of {@code tokenizer.json} or {@code
 *     added_tokens.json}
 * @param chatTemplate the chat template, of {@code chat_template.jinja} or {@code
 *     tokenizer_config.json}
 */
public record TokenizerComparison(Relation tokenizer, Relation addedTokens, Relation chatTemplate) {

    /** How something in the adapter's folder relates to the same in the base model's. */
    public enum Relation {
        /** The adapter's folder does not have it. */
        ABSENT,
        /** Both say the same. */
        SAME,
        /** They say different things. */
        DIFFERENT,
        /** The adapter's folder has it and the base model's does not. */
        ONLY_ADAPTER
    }
}
