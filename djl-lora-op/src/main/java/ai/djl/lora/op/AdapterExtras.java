/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a resident adapter changes beside the operator's part: layers read it where they meet rows
 * of its slot. Most adapters have none.
 *
 * <p>The arrays are of the model's type and belong to this object's manager.
 */
public final class AdapterExtras implements AutoCloseable {

    private final NDManager manager;
    private final Map<Integer, NDArray> inputScales;
    private final Map<Integer, NDArray> weights;
    private final Map<String, NDArray> norms;
    private final Embedding embedding;
    private final NDArray prompt;
    private final List<KeysValues> prefix;
    private final int[] invocationTokens;

    private AdapterExtras(Builder builder) {
        manager = builder.manager;
        inputScales = Map.copyOf(builder.inputScales);
        weights = Map.copyOf(builder.weights);
        norms = Map.copyOf(builder.norms);
        embedding = builder.embedding;
        prompt = builder.prompt;
        prefix = List.copyOf(builder.prefix);
        invocationTokens = builder.invocationTokens;
    }

    /**
     * Returns a builder.
     *
     * @param manager the manager that the arrays belong to; the result closes it
     * @return the builder
     */
    public static Builder builder(NDManager manager) {
        return new Builder(manager);
    }

    /**
     * Returns the factors of a layer's input.
     *
     * @param module the layer's index
     * @return [in], or null
     */
    public NDArray inputScale(int module) {
        return inputScales.get(module);
    }

    /**
     * Returns what replaces a layer's weight.
     *
     * @param module the layer's index
     * @return [out, in], or null
     */
    public NDArray weight(int module) {
        return weights.get(module);
    }

    /**
     * Returns what replaces a norm's weight.
     *
     * @param norm the norm's name
     * @return [size], or null
     */
    public NDArray norm(String norm) {
        return norms.get(norm);
    }

    /**
     * Returns the change of the embedding.
     *
     * @return the change, or null
     */
    public Embedding embedding() {
        return embedding;
    }

    /**
     * Returns the embeddings of virtual tokens before a sequence's first.
     *
     * @return [virtual tokens, hidden], or null
     */
    public NDArray prompt() {
        return prompt;
    }

    /**
     * Returns the keys and values before a sequence's first token.
     *
     * @return one entry for each layer; empty for none
     */
    public List<KeysValues> prefix() {
        return prefix;
    }

    /**
     * Returns how many positions a sequence of this adapter has before its first token.
     *
     * @return the number of virtual tokens
     */
    public int virtualTokens() {
        long tokens = prompt == null ? 0 : prompt.getShape().get(0);
        if (!prefix.isEmpty()) {
            tokens += prefix.get(0).keys().getShape().get(0);
        }
        return Math.toIntExact(tokens);
    }

    /**
     * Returns the tokens from whose last occurrence in a prompt on the adapter acts.
     *
     * @return the tokens; empty where it always acts
     */
    public int[] invocationTokens() {
        return invocationTokens.clone();
    }

    /**
     * Returns whether there is nothing here.
     *
     * @return whether the operator's part is all
     */
    public boolean isEmpty() {
        return inputScales.isEmpty()
                && weights.isEmpty()
                && norms.isEmpty()
                && embedding == null
                && prompt == null
                && prefix.isEmpty()
                && invocationTokens.length == 0;
    }

    /** Frees the arrays. */
    @Override
    public void close() {
        manager.close();
    }

    /**
     * A change of the embedding; see {@code EmbeddingChange}.
     *
     * @param lookup A's columns as rows [vocabulary, rank], or null
     * @param product B [hidden, rank], times the scale; null where {@code lookup} is
     * @param tokens the tokens whose rows are replaced
     * @param rows what replaces them [tokens, hidden], or null
     * @param weight what replaces the table [vocabulary, hidden], or null
     */
    public record Embedding(
            NDArray lookup, NDArray product, int[] tokens, NDArray rows, NDArray weight) {}

    /**
     * A layer's part of a prefix.
     *
     * @param keys [virtual tokens, key-value heads, head size], as the cache keeps them
     * @param values [virtual tokens, key-value heads, head size]
     */
    public record KeysValues(NDArray keys, NDArray values) {}

    /** Builds {@code AdapterExtras}. */
    public static final class Builder {

        private final NDManager manager;
        private final Map<Integer, NDArray> inputScales = new HashMap<>();
        private final Map<Integer, NDArray> weights = new HashMap<>();
        private final Map<String, NDArray> norms = new HashMap<>();
        private final List<KeysValues> prefix = new ArrayList<>();
        private Embedding embedding;
        private NDArray prompt;
        private int[] invocationTokens = {};

        private Builder(NDManager manager) {
            this.manager = manager;
        }

        /**
         * Sets the factors of a layer's input.
         *
         * @param module the layer's index
         * @param scale [in]
         * @return this builder
         */
        public Builder addInputScale(int module, NDArray scale) {
            inputScales.put(module, scale);
            return this;
        }

        /**
         * Sets what replaces a layer's weight.
         *
         * @param module the layer's index
         * @param weight [out, in]
         * @return this builder
         */
        public Builder addWeight(int module, NDArray weight) {
            weights.put(module, weight);
            return this;
        }

        /**
         * Sets what replaces a norm's weight.
         *
         * @param norm the norm's name
         * @param weight [size]
         * @return this builder
         */
        public Builder addNorm(String norm, NDArray weight) {
            norms.put(norm, weight);
            return this;
        }

        /**
         * Sets the change of the embedding.
         *
         * @param embedding the change
         * @return this builder
         */
        public Builder optEmbedding(Embedding embedding) {
            this.embedding = embedding;
            return this;
        }

        /**
         * Sets the embeddings of virtual tokens.
         *
         * @param prompt [virtual tokens, hidden]
         * @return this builder
         */
        public Builder optPrompt(NDArray prompt) {
            this.prompt = prompt;
            return this;
        }

        /**
         * Sets the keys and values before a sequence's first token.
         *
         * @param prefix one entry for each layer
         * @return this builder
         */
        public Builder optPrefix(List<KeysValues> prefix) {
            this.prefix.addAll(prefix);
            return this;
        }

        /**
         * Sets the tokens that switch the adapter on.
         *
         * @param tokens the tokens
         * @return this builder
         */
        public Builder optInvocationTokens(int... tokens) {
            invocationTokens = tokens.clone();
            return this;
        }

        /**
         * Builds the extras.
         *
         * @return the extras, which own the manager from now on
         */
        public AdapterExtras build() {
            return new AdapterExtras(this);
        }
    }
}
