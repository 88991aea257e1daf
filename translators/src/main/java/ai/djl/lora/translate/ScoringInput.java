/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

/**
 * A text whose likelihood is asked for.
 *
 * @param context the text before it, which is not scored; null where all of the text is scored that
 *     has a token before it
 * @param continuation the text that is scored
 * @param adapter the name of the adapter; empty or null for the base model
 */
public record ScoringInput(String context, String continuation, String adapter) {

    /**
     * Constructs a new {@code ScoringInput} instance.
     *
     * @param context the text before it, which is not scored; null where all of the text is scored
     *     that has a token before it
     * @param continuation the text that is scored
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public ScoringInput {
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code ScoringInput} instance for a whole text.
     *
     * @param text the text
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public ScoringInput(String text, String adapter) {
        this(null, text, adapter);
    }
}
