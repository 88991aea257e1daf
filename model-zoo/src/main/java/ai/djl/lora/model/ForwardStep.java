/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BatchPlan;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * The new tokens of a step: whole prompts, parts of prompts and single tokens, of any number of
 * sequences that each have their own cache and adapter.
 *
 * <p>The fewest segments result when sequences of one adapter are neighbours; any order is right.
 */
public final class ForwardStep {

    private final List<Sequence> sequences;
    private final boolean allPositions;
    private final int tokenCount;

    private ForwardStep(Builder builder) {
        this.sequences = List.copyOf(builder.sequences);
        this.allPositions = builder.allPositions;
        this.tokenCount = sequences.stream().mapToInt(s -> s.tokens.length).sum();
    }

    /**
     * Returns a builder of steps.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns the number of sequences.
     *
     * @return the number of sequences
     */
    public int sequenceCount() {
        return sequences.size();
    }

    /**
     * Returns the number of new tokens of all sequences.
     *
     * @return the number of tokens
     */
    public int tokenCount() {
        return tokenCount;
    }

    /**
     * Returns whether the logits of all new tokens are wanted, not only of each sequence's last.
     *
     * @return whether all are
     */
    public boolean allPositions() {
        return allPositions;
    }

    List<Sequence> sequences() {
        return sequences;
    }

    /**
     * Returns the number of rows of logits that are wanted.
     *
     * @return the number of rows, over all sequences
     */
    public int outputCount() {
        return sequences.stream().mapToInt(s -> allPositions ? s.tokens.length : s.outputs).sum();
    }

    /** Where the adapter acts from is to be found among the tokens. */
    static final int FIND = -1;

    /** One sequence of a step. Its tokens are not changed by anyone. */
    record Sequence(KvCache cache, AdapterMix mix, int activeFrom, int outputs, int[] tokens) {}

    /** A builder of {@link ForwardStep}s. */
    public static final class Builder {

        private final List<Sequence> sequences = new ArrayList<>();
        private final Set<KvCache> caches = Collections.newSetFromMap(new IdentityHashMap<>());
        private boolean allPositions;

        private Builder() {}

        /**
         * Adds a sequence.
         *
         * <p>An adapter's virtual tokens come before the first of a sequence, whose cache must be
         * empty then. An adapter with invocation tokens acts from their last occurrence in the step
         * in which the sequence begins to use it on; that step must hold them. Both count in the
         * cache, and in later steps nothing more is to be done.
         *
         * @param cache the sequence's cache, which holds the tokens before the new ones
         * @param slot the slot of the adapter, {@link BatchPlan#BASE} for none
         * @param tokens the new tokens, at least one
         * @return this builder
         * @throws LoraConfigurationException if there are no tokens
         */
        public Builder addSequence(KvCache cache, int slot, int... tokens) {
            if (slot < BatchPlan.BASE) {
                throw new IllegalArgumentException(
                        "slot is " + slot + "; slots are -1 (base) or more");
            }
            return addSequence(cache, AdapterMix.of(slot), tokens);
        }

        /**
         * Adds a sequence that may use a stack of adapters; see {@link #addSequence(KvCache, int,
         * int...)}.
         *
         * @param cache the sequence's cache, which holds the tokens before the new ones
         * @param mix what the sequence adds to the base model
         * @param tokens the new tokens, at least one
         * @return this builder
         * @throws LoraConfigurationException if there are no tokens
         */
        public Builder addSequence(KvCache cache, AdapterMix mix, int... tokens) {
            return add(cache, mix, FIND, 1, tokens);
        }

        /**
         * Adds a part of a sequence of which the caller knows where its adapter acts, so that a
         * prompt can be run in pieces, or once more with tokens that followed it.
         *
         * <p>An adapter's virtual tokens come before the first part, whose cache is empty.
         *
         * @param cache the sequence's cache, which holds the tokens before the new ones
         * @param mix what the sequence adds to the base model
         * @param activeFrom the first of the new tokens on which the adapter acts; their number for
         *     none of them
         * @param outputs of how many tokens, the last ones, logits are wanted; may be 0
         * @param tokens the new tokens, at least one
         * @return this builder
         * @throws LoraConfigurationException if there are no tokens
         */
        public Builder addPart(
                KvCache cache, AdapterMix mix, int activeFrom, int outputs, int... tokens) {
            if (activeFrom < 0
                    || activeFrom > tokens.length
                    || outputs < 0
                    || outputs > tokens.length) {
                throw new IllegalArgumentException(
                        "activeFrom is "
                                + activeFrom
                                + " and outputs is "
                                + outputs
                                + "; both are 0 to "
                                + tokens.length);
            }
            return add(cache, mix, activeFrom, outputs, tokens);
        }

        private Builder add(
                KvCache cache, AdapterMix mix, int activeFrom, int outputs, int[] tokens) {
            if (tokens.length == 0) {
                throw new LoraConfigurationException(
                        "Sequence " + sequences.size() + " has no tokens; expected at least one");
            }
            if (!caches.add(cache)) {
                throw new IllegalArgumentException(
                        "Sequence "
                                + sequences.size()
                                + " has the cache of another sequence of this step");
            }
            sequences.add(new Sequence(cache, mix, activeFrom, outputs, tokens.clone()));
            return this;
        }

        /**
         * Sets whether the logits of all new tokens are wanted, not only of each sequence's last.
         *
         * @param allPositions whether all are
         * @return this builder
         */
        public Builder optAllPositions(boolean allPositions) {
            this.allPositions = allPositions;
            return this;
        }

        /**
         * Builds the step.
         *
         * @return the step
         * @throws LoraConfigurationException if there is no sequence
         */
        public ForwardStep build() {
            if (sequences.isEmpty()) {
                throw new LoraConfigurationException(
                        "The step has no sequences; expected at least one");
            }
            return new ForwardStep(this);
        }
    }
}
