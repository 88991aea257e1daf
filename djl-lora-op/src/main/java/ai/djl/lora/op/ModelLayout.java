/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What of a model adapters may change.
 *
 * @param linears the linear layers, each at its own index
 * @param norms the sizes of the norms, by name
 * @param embedding the embedding of tokens, or empty
 * @param attention the shape of the keys and values, or empty
 */
public record ModelLayout(
        List<LoraModule> linears,
        Map<String, Integer> norms,
        Optional<Embedding> embedding,
        Optional<Attention> attention) {

    /**
     * Constructs a new {@code ModelLayout} instance of linear layers alone.
     *
     * @param linears the layers
     */
    public ModelLayout(List<LoraModule> linears) {
        this(linears, Map.of(), Optional.empty(), Optional.empty());
    }

    /**
     * The embedding of tokens.
     *
     * @param name its path in the checkpoint, without {@code .weight}
     * @param vocabulary the number of tokens
     * @param hidden the size of a token's row
     * @param tiedTo the name of the output layer where it shares the embedding's weights
     */
    public record Embedding(String name, int vocabulary, int hidden, Optional<String> tiedTo) {}

    /**
     * The shape of what a sequence keeps for attention.
     *
     * @param layers the number of layers
     * @param keyValueHeads the heads of keys and of values
     * @param headDim the size of a head
     */
    public record Attention(int layers, int keyValueHeads, int headDim) {}
}
