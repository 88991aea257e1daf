/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

/**
 * A text of which a vector is asked for.
 *
 * @param text the text
 * @param adapter the name of the adapter; empty or null for the base model
 */
public record EmbeddingInput(String text, String adapter) {

    /**
     * Constructs a new {@code EmbeddingInput} instance.
     *
     * @param text the text
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public EmbeddingInput {
        adapter = adapter == null ? "" : adapter;
    }
}
