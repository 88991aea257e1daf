/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
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
    private final Map<Integer, ReplacedRows> weightRows;
    private final Map<String, NDArray> norms;
    private final Embedding embedding;
    private final NDArray prompt;
    private final List<KeysValues> prefix;
    private final int[] invocationTokens;

    private AdapterExtras(Builder builder) {
        manager = builder.manager;
        inputScales = Map.copyOf(builder.inputScales);
        weights = Map.copyOf(builder.weights);
        weightRows = Map.copyOf(builder.weightRows);
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
     * Returns what replaces some rows of a layer's weight, and so some of its outputs.
     *
     * @param module the layer's index
     * @return the rows, or null
     */
    public ReplacedRows weightRows(int module) {
        return weightRows.get(module);
    }

    /**
     * Returns whether the input or the weight of a linear layer is another one.
     *
     * @param module the layer's index
     * @return whether the layer must look
     */
    public boolean changesLinear(int module) {
        return inputScales.containsKey(module)
                || weights.containsKey(module)
                || weightRows.containsKey(module);
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
     * Returns how many virtual tokens {@link #prompt} has.
     *
     * @return the number of tokens that a sequence is longer by in its first step
     */
    public int promptTokens() {
        return prompt == null ? 0 : Math.toIntExact(prompt.getShape().get(0));
    }

    /**
     * Returns how many virtual tokens {@link #prefix} has.
     *
     * @return the number of positions that are in the cache before a sequence's first step
     */
    public int prefixTokens() {
        return prefix.isEmpty() ? 0 : Math.toIntExact(prefix.get(0).keys().getShape().get(0));
    }

    /**
     * Returns how many positions a sequence of this adapter has before its first token.
     *
     * @return the number of virtual tokens
     */
    public int virtualTokens() {
        return promptTokens() + prefixTokens();
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
     * Returns from which of a sequence's tokens on the adapter acts.
     *
     * <p>As in PEFT ({@code peft/tuners/lora/variants.py}) that is the first token of the last
     * occurrence of the invocation tokens, where occurrences may overlap.
     *
     * @param tokens the tokens with which the sequence starts to use the adapter
     * @return 0 where the adapter always acts; -1 where the invocation tokens do not occur
     */
    public int activeFrom(int... tokens) {
        return new SequenceStart(0, invocationTokens).activeFrom(tokens);
    }

    /**
     * Returns whether a sequence has to be begun with this adapter: there are virtual tokens before
     * its first, or tokens that switch the adapter on.
     *
     * @return whether the adapter acts on whole sequences
     */
    public boolean actsOnSequences() {
        return prompt != null || !prefix.isEmpty() || invocationTokens.length > 0;
    }

    /**
     * Returns whether there is nothing here.
     *
     * @return whether the operator's part is all
     */
    public boolean isEmpty() {
        return inputScales.isEmpty()
                && weights.isEmpty()
                && weightRows.isEmpty()
                && norms.isEmpty()
                && embedding == null
                && !actsOnSequences();
    }

    /**
     * Returns the memory that the arrays take.
     *
     * @param type the model's type, which is the arrays'
     * @return the size in bytes
     */
    public long bytes(ElementType type) {
        long elements = 0;
        for (NDArray array : manager.getManagedArrays()) {
            elements += array.getShape().size();
        }
        return elements * type.bytes();
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
     * @param replaced the tokens whose rows are replaced, or null
     * @param weight what replaces the table [vocabulary, hidden], or null
     */
    public record Embedding(
            NDArray lookup, NDArray product, ReplacedRows replaced, NDArray weight) {}

    /** Some rows of a matrix and what replaces them. */
    public static final class ReplacedRows {

        private final int[] indices;
        private final NDArray values;

        /**
         * Constructs a new {@code ReplacedRows} instance.
         *
         * @param indices the rows, ascending
         * @param values what replaces them [indices, columns]
         */
        public ReplacedRows(int[] indices, NDArray values) {
            for (int i = 1; i < indices.length; ++i) {
                if (indices[i] <= indices[i - 1]) {
                    throw new IllegalArgumentException(
                            "Row " + indices[i] + " stands behind row " + indices[i - 1]);
                }
            }
            this.indices = indices.clone();
            this.values = values;
        }

        /**
         * Returns the rows.
         *
         * @return a copy, ascending
         */
        public int[] indices() {
            return indices.clone();
        }

        /**
         * Returns what replaces the rows.
         *
         * @return [rows, columns], in the order of the indices
         */
        public NDArray values() {
            return values;
        }

        /**
         * Returns the place of a row among those that are replaced.
         *
         * @param row the row
         * @return its place, negative where the row is not replaced
         */
        public int find(int row) {
            return Arrays.binarySearch(indices, row);
        }
    }

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
        private final Map<Integer, ReplacedRows> weightRows = new HashMap<>();
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
         * Sets what replaces some rows of a layer's weight.
         *
         * @param module the layer's index
         * @param rows the rows
         * @return this builder
         */
        public Builder addWeightRows(int module, ReplacedRows rows) {
            weightRows.put(module, rows);
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
