/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;
import java.util.stream.Stream;

/**
 * What an adapter does to the embedding of tokens.
 *
 * <p>A token's row is the one of {@code rows} that replaces it, or else {@code E'[token] + scale *
 * B (A[:, token])} with E' the table {@code weight} or the model's own.
 *
 * @param product A [rank, vocabulary] and B [hidden, rank], or null
 * @param tokens the tokens whose rows are replaced, each once; empty for none
 * @param rows what replaces them [tokens, hidden], or null. Where the model's output layer shares
 *     its weights with the embedding, these rows count there as well (PEFT's {@code
 *     TrainableTokensLayer})
 * @param weight what replaces the whole table [vocabulary, hidden], in the embedding alone; or null
 */
public record EmbeddingChange(
        LoraWeights product, int[] tokens, HostTensor rows, HostTensor weight) {

    /** Returns the tensors, with null for those that are not there. */
    Stream<HostTensor> tensors() {
        return Stream.of(
                product == null ? null : product.a(),
                product == null ? null : product.b(),
                rows,
                weight);
    }

    /** Collects what several parts of an adapter do to the embedding. */
    public static final class Builder {

        private LoraWeights product;
        private int[] tokens = {};
        private HostTensor rows;
        private HostTensor weight;

        Builder() {}

        /**
         * Sets the low-rank product.
         *
         * @param product A [rank, vocabulary] and B [hidden, rank]
         * @return this builder
         */
        public Builder optProduct(LoraWeights product) {
            this.product = product;
            return this;
        }

        /**
         * Sets the rows that replace those of some tokens.
         *
         * @param tokens the tokens, each once
         * @param rows [tokens, hidden]
         * @return this builder
         */
        public Builder optRows(int[] tokens, HostTensor rows) {
            this.tokens = tokens.clone();
            this.rows = rows;
            return this;
        }

        /**
         * Sets what replaces the whole table.
         *
         * @param weight [vocabulary, hidden]
         * @return this builder
         */
        public Builder optWeight(HostTensor weight) {
            this.weight = weight;
            return this;
        }

        EmbeddingChange build() {
            return new EmbeddingChange(product, tokens, rows, weight);
        }
    }
}
