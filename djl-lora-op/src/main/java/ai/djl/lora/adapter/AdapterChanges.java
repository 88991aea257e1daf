/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Everything that an adapter changes in a model, whatever the method by which it was trained. */
public final class AdapterChanges {

    private final Map<String, LinearChange> linears;
    private final Map<String, HostTensor> norms;
    private final EmbeddingChange embedding;
    private final HostTensor prompt;
    private final HostTensor prefix;
    private final int[] invocationTokens;

    private AdapterChanges(Builder builder) {
        linears = Collections.unmodifiableMap(new LinkedHashMap<>(builder.linears));
        norms = Collections.unmodifiableMap(new LinkedHashMap<>(builder.norms));
        embedding = builder.embedding;
        prompt = builder.prompt;
        prefix = builder.prefix;
        invocationTokens = builder.invocationTokens;
    }

    /**
     * Returns a builder.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns the changes of linear layers.
     *
     * @return the changes by the layer's name, in the order in which they were added
     */
    public Map<String, LinearChange> linears() {
        return linears;
    }

    /**
     * Returns the replaced weights of norms.
     *
     * @return the weights [size] by the norm's name
     */
    public Map<String, HostTensor> norms() {
        return norms;
    }

    /**
     * Returns the change of the embedding.
     *
     * @return the change, or empty
     */
    public Optional<EmbeddingChange> embedding() {
        return Optional.ofNullable(embedding);
    }

    /**
     * Returns the embeddings of virtual tokens that stand before a sequence's first (prompt tuning,
     * arXiv 2104.08691, and P-tuning, arXiv 2103.10385).
     *
     * @return [virtual tokens, hidden], or empty
     */
    public Optional<HostTensor> prompt() {
        return Optional.ofNullable(prompt);
    }

    /**
     * Returns the keys and values that every token of a sequence sees before the first (prefix
     * tuning, arXiv 2101.00190).
     *
     * @return [virtual tokens, 2 * layers, key-value heads, head size], a layer's keys before its
     *     values; or empty
     */
    public Optional<HostTensor> prefix() {
        return Optional.ofNullable(prefix);
    }

    /**
     * Returns the tokens from whose last occurrence in a prompt on the adapter acts (activated
     * LoRA, arXiv 2504.12397).
     *
     * @return the tokens; empty where the adapter always acts
     */
    public int[] invocationTokens() {
        return invocationTokens.clone();
    }

    /**
     * Returns whether these changes can be weighted and added to others: plain low-rank products of
     * linear layers, from the first token on.
     *
     * @return whether they can
     */
    public boolean isStackable() {
        return norms.isEmpty()
                && embedding == null
                && prompt == null
                && prefix == null
                && invocationTokens.length == 0
                && linears.values().stream().allMatch(LinearChange::isProductOnly);
    }

    /**
     * Returns what kinds of changes there are, for messages.
     *
     * @return the names of the methods with commas between, such as {@code DoRA, replaced norm}
     */
    public String variants() {
        Set<String> names = new LinkedHashSet<>();
        linears.values().forEach(change -> names.add(change.variant()));
        if (!norms.isEmpty()) {
            names.add("replaced norm");
        }
        if (embedding != null) {
            names.add("changed embedding");
        }
        if (prompt != null) {
            names.add("virtual tokens");
        }
        if (prefix != null) {
            names.add("prefix");
        }
        if (invocationTokens.length > 0) {
            names.add("activated LoRA");
        }
        return String.join(", ", names);
    }

    /**
     * Returns the part of these changes that is not made by a packed adapter's products, scales and
     * biases: scaled inputs, replaced weights, norms, the embedding, virtual tokens, the prefix and
     * the invocation tokens.
     *
     * @return the changes that remain; empty ones where products are all
     */
    public AdapterChanges besideProducts() {
        Builder builder = builder();
        linears.forEach(
                (module, change) -> {
                    if (change.inputScale() != null || change.weight() != null) {
                        builder.addLinear(module, change.besideProduct());
                    }
                });
        norms.forEach(builder::addNorm);
        return builder.optEmbedding(embedding)
                .optPrompt(prompt)
                .optPrefix(prefix)
                .optInvocationTokens(invocationTokens)
                .build();
    }

    /**
     * Returns the memory that the tensors of these changes take.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return tensors().mapToLong(tensor -> tensor.data().length).sum();
    }

    /**
     * Returns the number of elements of all tensors of these changes.
     *
     * @return the number
     */
    public long elements() {
        return tensors().mapToLong(HostTensor::elements).sum();
    }

    private Stream<HostTensor> tensors() {
        Stream<HostTensor> ofLayers = linears.values().stream().flatMap(LinearChange::tensors);
        Stream<HostTensor> ofEmbedding = embedding == null ? Stream.empty() : embedding.tensors();
        return Stream.of(ofLayers, norms.values().stream(), ofEmbedding, Stream.of(prompt, prefix))
                .flatMap(tensors -> tensors)
                .filter(Objects::nonNull);
    }

    /** Builds {@code AdapterChanges}. */
    public static final class Builder {

        private final Map<String, LinearChange> linears = new LinkedHashMap<>();
        private final Map<String, HostTensor> norms = new LinkedHashMap<>();
        private final Map<String, LinearChange.Builder> partial = new LinkedHashMap<>();
        private EmbeddingChange.Builder partialEmbedding;
        private EmbeddingChange embedding;
        private HostTensor prompt;
        private HostTensor prefix;
        private int[] invocationTokens = {};

        private Builder() {}

        /**
         * Adds the change of a linear layer.
         *
         * @param module the layer's name
         * @param change the change
         * @return this builder
         */
        public Builder addLinear(String module, LinearChange change) {
            if (linears.put(module, change) != null) {
                throw new IllegalArgumentException("Module " + module + " is changed twice");
            }
            return this;
        }

        /**
         * Returns what collects the change of a linear layer, where several parts of an adapter
         * make it.
         *
         * @param module the layer's name
         * @return the layer's builder, the same for each call
         */
        public LinearChange.Builder linear(String module) {
            return partial.computeIfAbsent(module, name -> new LinearChange.Builder());
        }

        /**
         * Returns what collects the change of the embedding, where several parts of an adapter make
         * it.
         *
         * @return the embedding's builder, the same for each call
         */
        public EmbeddingChange.Builder embedding() {
            if (partialEmbedding == null) {
                partialEmbedding = new EmbeddingChange.Builder();
            }
            return partialEmbedding;
        }

        /**
         * Adds the replaced weight of a norm.
         *
         * @param module the norm's name
         * @param weight the weight [size]
         * @return this builder
         */
        public Builder addNorm(String module, HostTensor weight) {
            if (norms.put(module, weight) != null) {
                throw new IllegalArgumentException("Norm " + module + " is replaced twice");
            }
            return this;
        }

        /**
         * Sets the change of the embedding.
         *
         * @param embedding the change
         * @return this builder
         */
        public Builder optEmbedding(EmbeddingChange embedding) {
            this.embedding = embedding;
            return this;
        }

        /**
         * Sets the embeddings of virtual tokens.
         *
         * @param prompt [virtual tokens, hidden]
         * @return this builder
         */
        public Builder optPrompt(HostTensor prompt) {
            this.prompt = prompt;
            return this;
        }

        /**
         * Sets the keys and values before a sequence's first token.
         *
         * @param prefix [virtual tokens, 2 * layers, key-value heads, head size]
         * @return this builder
         */
        public Builder optPrefix(HostTensor prefix) {
            this.prefix = prefix;
            return this;
        }

        /**
         * Sets the tokens that switch the adapter on.
         *
         * @param tokens the tokens, not empty
         * @return this builder
         */
        public Builder optInvocationTokens(int... tokens) {
            this.invocationTokens = tokens.clone();
            return this;
        }

        /**
         * Builds the changes.
         *
         * @return the changes
         */
        public AdapterChanges build() {
            partial.forEach((module, change) -> addLinear(module, change.build()));
            partial.clear();
            if (partialEmbedding != null) {
                embedding = partialEmbedding.build();
            }
            return new AdapterChanges(this);
        }
    }
}
