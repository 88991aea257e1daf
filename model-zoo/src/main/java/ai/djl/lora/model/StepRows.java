/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The rows of a step: of each sequence the virtual tokens that its adapter begins it with, if it
 * does, and then the new tokens.
 *
 * <p>The step is checked while its rows are laid out, before anything is computed.
 */
final class StepRows {

    private final LlamaConfig config;
    private final LoraContext context;
    private final List<SequenceRows> sequences = new ArrayList<>();
    private final List<AdapterMix> mixes = new ArrayList<>();
    private final int[] tokens;

    /**
     * Constructs a new {@code StepRows} instance.
     *
     * @param config the model's configuration
     * @param context the model's context
     * @param step the step
     * @param mixOfToken what each new token adds to the base model, sequences one behind the other
     * @throws LoraConfigurationException if a token is not in the vocabulary, a sequence grows
     *     beyond the model's positions, or an adapter cannot begin a sequence where it stands
     */
    StepRows(
            LlamaConfig config,
            LoraContext context,
            ForwardStep step,
            List<AdapterMix> mixOfToken) {
        this.config = config;
        this.context = context;
        IntStream.Builder ids = IntStream.builder();
        int from = 0;
        for (ForwardStep.Sequence sequence : step.sequences()) {
            int to = from + sequence.tokens().length;
            add(sequence, mixOfToken.subList(from, to), ids);
            from = to;
        }
        this.tokens = ids.build().toArray();
    }

    private void add(
            ForwardStep.Sequence sequence, List<AdapterMix> mixOfToken, IntStream.Builder ids) {
        KvCache cache = sequence.cache();
        int[] newTokens = sequence.tokens();
        cache.requireUsable(context);
        checkTokens(newTokens);
        boolean told = sequence.activeFrom() != ForwardStep.FIND;
        AdapterExtras begun =
                told
                        ? begunWithFirst(cache, mixOfToken.get(0))
                        : begun(cache, newTokens, mixOfToken);
        int prompt = begun == null ? 0 : begun.promptTokens();
        int prefix = begun == null ? 0 : begun.prefixTokens();
        checkPositions((long) cache.length() + newTokens.length, prompt + prefix);
        sequences.add(
                new SequenceRows(
                        cache,
                        cache.length() + prefix,
                        mixes.size(),
                        prompt + newTokens.length,
                        sequence.outputs(),
                        begun));
        for (int i = 0; i < prompt; ++i) {
            ids.add(0); // any token will do: the row is written over
            mixes.add(mixOfToken.get(0));
        }
        int found = begun == null ? 0 : begun.activeFrom(newTokens);
        int activeFrom = told ? sequence.activeFrom() : found;
        for (int i = 0; i < newTokens.length; ++i) {
            ids.add(newTokens[i]);
            mixes.add(i < activeFrom ? AdapterMix.BASE : mixOfToken.get(i));
        }
    }

    private void checkTokens(int[] newTokens) {
        for (int token : newTokens) {
            if (token < 0 || token >= config.vocabSize()) {
                throw new LoraConfigurationException(
                        sequence()
                                + " has token id "
                                + token
                                + "; expected 0 to "
                                + (config.vocabSize() - 1));
            }
        }
    }

    private void checkPositions(long real, int virtual) {
        if (real + virtual > config.maxPositionEmbeddings()) {
            throw new LoraConfigurationException(
                    sequence()
                            + " would have "
                            + (real + virtual)
                            + " tokens"
                            + (virtual == 0 ? "" : ", " + virtual + " of them virtual")
                            + "; expected at most max_position_embeddings, which is "
                            + config.maxPositionEmbeddings());
        }
    }

    /** Returns the extras of an adapter whose virtual tokens come before a sequence's first. */
    private AdapterExtras begunWithFirst(KvCache cache, AdapterMix mix) {
        AdapterExtras extras = context.extrasOf(mix);
        return extras != null && extras.virtualTokens() > 0 && cache.length() == 0 ? extras : null;
    }

    /** Returns the extras of an adapter that has to begin the sequence in this step, or null. */
    private AdapterExtras begun(KvCache cache, int[] newTokens, List<AdapterMix> mixOfToken) {
        AdapterMix first = mixOfToken.get(0);
        boolean uniform = true;
        for (AdapterMix mix : mixOfToken) {
            uniform &= mix.equals(first);
        }
        if (!uniform) {
            mixOfToken.forEach(this::refuseWhole);
            return null;
        }
        AdapterExtras extras = context.extrasOf(first);
        if (extras == null || !extras.actsOnSequences() || cache.isBegunWith(extras)) {
            return null;
        }
        if (extras.virtualTokens() > 0 && cache.length() > 0) {
            throw new LoraConfigurationException(
                    sequence()
                            + " has "
                            + cache.length()
                            + " tokens already; the adapter in slot "
                            + first.slot(0)
                            + " has virtual tokens, which come before a sequence's first");
        }
        if (extras.activeFrom(newTokens) < 0) {
            throw new LoraConfigurationException(
                    sequence()
                            + " lacks the invocation tokens "
                            + Arrays.toString(extras.invocationTokens())
                            + " from which on the adapter in slot "
                            + first.slot(0)
                            + " acts");
        }
        return extras;
    }

    private void refuseWhole(AdapterMix mix) {
        AdapterExtras extras = context.extrasOf(mix);
        if (extras != null && extras.actsOnSequences()) {
            throw new LoraConfigurationException(
                    sequence()
                            + " uses the adapter in slot "
                            + mix.slot(0)
                            + " for some of its tokens; it has virtual or invocation tokens and"
                            + " takes whole sequences");
        }
    }

    private String sequence() {
        return "Sequence " + sequences.size();
    }

    List<SequenceRows> sequences() {
        return sequences;
    }

    /** Returns the token of each row; that of a virtual one is of no meaning. */
    int[] tokens() {
        return tokens;
    }

    /** Returns the number of rows. */
    int count() {
        return tokens.length;
    }

    /** Returns the plan of all rows. */
    BatchPlan plan() {
        return BatchPlan.ofMixes(mixes);
    }

    /** Returns the plan of some rows. */
    BatchPlan plan(int... rows) {
        return BatchPlan.ofMixes(mixes(rows));
    }

    /** Returns what some rows add to the base model. */
    List<AdapterMix> mixes(int... rows) {
        return Arrays.stream(rows).mapToObj(mixes::get).toList();
    }

    /** Returns the position of each row in its sequence. */
    int[] positions() {
        return sequences.stream()
                .flatMapToInt(sequence -> IntStream.range(sequence.past(), sequence.total()))
                .toArray();
    }

    /**
     * Returns the rows of new tokens whose logits are wanted: each sequence's last ones, or all.
     */
    int[] outputs(boolean all) {
        return sequences.stream()
                .flatMapToInt(
                        sequence -> {
                            int end = sequence.row() + sequence.count();
                            int first = sequence.row() + sequence.promptTokens();
                            return IntStream.range(all ? first : end - sequence.outputs(), end);
                        })
                .toArray();
    }
}
