/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.model.KvCache;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.op.AdapterMix;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * Decides what the next step runs: first the newest token of each running sequence, then the rest
 * of prompts that have begun, then sequences that wait, as far as the step's tokens, adapters,
 * places and KV blocks go. A running sequence that finds no block takes those of the one that came
 * last, which is run again later.
 */
final class Scheduler {

    private static final int[] NO_DRAFT = {};

    /** A new token costs more than one of a prompt, of which many are run together. */
    private static final double NEW_TOKEN_COST = 2;

    private final EngineOptions options;
    private final BlockManager blocks;
    private final FairQueue queue;
    private final Function<BlockManager, KvCache> caches;
    private final List<Sequence> running = new ArrayList<>();
    private long steps;
    private long cachedTokens;
    private long preemptions;

    /**
     * Constructs a new {@code Scheduler} instance.
     *
     * @param options the limits
     * @param blocks who has which KV block
     * @param queue the sequences that wait
     * @param caches makes an empty cache whose blocks come from the block manager
     */
    Scheduler(
            EngineOptions options,
            BlockManager blocks,
            FairQueue queue,
            Function<BlockManager, KvCache> caches) {
        this.options = options;
        this.blocks = blocks;
        this.queue = queue;
        this.caches = caches;
    }

    /** A step while it is put together. */
    private final class Step {
        final List<Work> works = new ArrayList<>();
        final Set<Sequence> taken = new HashSet<>();
        final Set<AdapterMix> adapters = new HashSet<>();
        int budget = options.maxTokensPerStep();

        /** A block is restored in less time than a token is run: a step at most doubles. */
        int restores = options.maxTokensPerStep();

        boolean hasRoomFor(AdapterMix mix) {
            return mix.equals(AdapterMix.BASE)
                    || adapters.contains(mix)
                    || adapters.size() < options.maxAdaptersPerStep();
        }

        void add(Work work) {
            Sequence sequence = work.sequence();
            works.add(work);
            taken.add(sequence);
            budget -= work.tokens();
            if (!sequence.mix().equals(AdapterMix.BASE)) {
                adapters.add(sequence.mix());
            }
            sequence.setLastStep(steps);
            queue.charge(sequence, sequence.isDecoding() ? NEW_TOKEN_COST : work.count());
        }
    }

    /**
     * Puts the next step together.
     *
     * @param now the time
     * @return what it runs; nothing where no sequence is ready
     */
    List<Work> schedule(long now) {
        ++steps;
        long before = preemptions;
        Step step = new Step();
        // those that were left out of the last steps come first, which matters where adapters are
        // too many for one
        List<Sequence> order = new ArrayList<>(running);
        order.sort(Comparator.comparingLong(Sequence::lastStep));
        for (Sequence sequence : order) {
            if (sequence.isDecoding()) {
                continueWith(sequence, step);
            }
        }
        for (Sequence sequence : order) {
            if (!sequence.isDecoding()) {
                continueWith(sequence, step);
            }
        }
        // what was just given up would otherwise take back the blocks that it made room with
        boolean room = preemptions == before || step.works.isEmpty();
        while (room && running.size() < options.maxSequences() && step.budget > 0) {
            Sequence sequence = queue.next(now, s -> s.isReady() && step.hasRoomFor(s.mix()));
            if (sequence == null || !begin(sequence, step)) {
                break;
            }
        }
        step.works.sort(Comparator.comparing(work -> work.sequence().mix()));
        return step.works;
    }

    private void continueWith(Sequence sequence, Step step) {
        boolean left = running.contains(sequence) && step.budget > 0;
        if (!left || !step.hasRoomFor(sequence.mix())) {
            return;
        }
        int count = Math.min(step.budget, sequence.length() - sequence.computed());
        int[] draft = draft(sequence, step.budget - count);
        while (!fits(sequence, count + draft.length)) {
            if (draft.length > 0) {
                draft = NO_DRAFT;
                continue;
            }
            Sequence last = lastOf(step);
            preempt(last);
            if (last == sequence) {
                return;
            }
        }
        reserve(sequence, count + draft.length);
        step.add(Work.of(sequence, count, draft));
    }

    private int[] draft(Sequence sequence, int budget) {
        boolean worth =
                options.speculation()
                        && running.size() <= options.speculationSequences()
                        && sequence.isDecoding();
        // the last token needs none behind it
        int most = Math.min(budget, sequence.remaining() - 1);
        if (!worth || most < 1) {
            return NO_DRAFT;
        }
        int limit = Math.min(most, sequence.drafts().limit());
        return limit < 1 ? NO_DRAFT : PromptLookup.draft(sequence, limit);
    }

    /** Returns the sequence that gives its blocks to others: of the lowest priority the newest. */
    private Sequence lastOf(Step step) {
        return running.stream()
                .filter(sequence -> !step.taken.contains(sequence))
                .max(
                        Comparator.<Sequence>comparingInt(s -> -s.submission().priority())
                                .thenComparing(Sequence::id))
                .orElseThrow();
    }

    private void preempt(Sequence sequence) {
        running.remove(sequence);
        sequence.preempt();
        queue.putBack(sequence);
        ++preemptions;
    }

    private static int positions(Sequence sequence, int more) {
        return sequence.virtualTokens() + sequence.computed() + more;
    }

    private boolean fits(Sequence sequence, int more) {
        int needed = KvPool.blocksFor(positions(sequence, more)) - sequence.cache().blockCount();
        return needed <= blocks.available();
    }

    private static void reserve(Sequence sequence, int more) {
        sequence.cache().reserve(positions(sequence, more));
    }

    /** Begins with a sequence, unless there are too few blocks for its first piece. */
    private boolean begin(Sequence sequence, Step step) {
        int cold = sequence.virtualTokens() == 0 ? blocks.toRestore(sequence) : 0;
        if (cold > step.restores && step.restores < options.maxTokensPerStep()) {
            // the next step can restore more of them
            return false;
        }
        KvCache cache = caches.apply(blocks);
        sequence.setCache(cache);
        if (sequence.virtualTokens() == 0) {
            int[] known = blocks.adopt(sequence, step.restores);
            step.restores -= Math.min(cold, step.restores);
            cache.adopt(known);
            sequence.setComputed(known.length * KvPool.BLOCK_POSITIONS);
        }
        int count = Math.min(step.budget, sequence.length() - sequence.computed());
        if (!fits(sequence, count)) {
            sequence.setComputed(0);
            sequence.setKept(0, BlockManager.ROOT);
            cache.close();
            sequence.setCache(null);
            return false;
        }
        cachedTokens += sequence.computed();
        sequence.addCached(sequence.computed());
        queue.start(sequence);
        running.add(sequence);
        reserve(sequence, count);
        step.add(Work.of(sequence, count));
        return true;
    }

    /** Forgets a sequence that has ended. */
    void end(Sequence sequence) {
        queue.leave(sequence, running.remove(sequence));
    }

    List<Sequence> running() {
        return List.copyOf(running);
    }

    int runningCount() {
        return running.size();
    }

    long steps() {
        return steps;
    }

    long cachedTokens() {
        return cachedTokens;
    }

    long preemptions() {
        return preemptions;
    }
}
