/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Says which rows of a step use which adapters: rows of one mix lie together in a segment.
 *
 * <p>Row {@code t} of segment {@code s}, where {@code segmentStarts[s] <= t < segmentStarts[s +
 * 1]}, uses the adapters whose slots in the {@link AdapterTable} are {@code entrySlots[e]} with the
 * weights {@code entryWeights[e]}, for {@code entryStarts[s] <= e < entryStarts[s + 1]}. A plan is
 * made once for a step and holds for every layer of the model.
 */
public final class BatchPlan {

    /** The slot of rows that use the base model alone. */
    public static final int BASE = -1;

    private final List<AdapterMix> mixes;
    private final long[] segmentStarts;
    private final long[] entryStarts;
    private final long[] entrySlots;
    private final float[] entryWeights;
    private final boolean stacks;
    private final long[] slots;

    private BatchPlan(List<AdapterMix> mixes, long[] segmentStarts) {
        this.mixes = mixes;
        this.segmentStarts = segmentStarts;
        this.stacks = mixes.stream().anyMatch(mix -> !mix.isPlain());
        // laid out once: every layer of the model hands these arrays to the operator
        this.entryStarts = new long[mixes.size() + 1];
        for (int s = 0; s < mixes.size(); ++s) {
            entryStarts[s + 1] = entryStarts[s] + mixes.get(s).size();
        }
        int entries = (int) entryStarts[mixes.size()];
        this.entrySlots = new long[entries];
        this.entryWeights = new float[entries];
        int entry = 0;
        for (AdapterMix mix : mixes) {
            for (int i = 0; i < mix.size(); ++i) {
                entrySlots[entry] = mix.slot(i);
                entryWeights[entry++] = mix.weight(i);
            }
        }
        this.slots =
                stacks
                        ? null
                        : mixes.stream()
                                .mapToLong(mix -> mix.size() == 0 ? BASE : mix.slot(0))
                                .toArray();
    }

    /**
     * Makes the plan of rows whose slots are given one by one.
     *
     * <p>Neighbouring rows of one slot become one segment, so that callers who sort their rows by
     * slot get the fewest segments; any order is right.
     *
     * @param slotOfRow the slot of each row, {@link #BASE} for the base model
     * @return the plan
     */
    public static BatchPlan ofRows(int... slotOfRow) {
        for (int t = 0; t < slotOfRow.length; ++t) {
            if (slotOfRow[t] < BASE) {
                throw new IllegalArgumentException(
                        "slotOfRow["
                                + t
                                + "] is "
                                + slotOfRow[t]
                                + "; slots are -1 (base) or more");
            }
        }
        return ofMixes(IntStream.of(slotOfRow).mapToObj(AdapterMix::of).toList());
    }

    /**
     * Makes the plan of rows whose mixes are given one by one.
     *
     * @param mixOfRow what each row adds to the base model
     * @return the plan, in which neighbouring rows of one mix share a segment
     */
    public static BatchPlan ofMixes(List<AdapterMix> mixOfRow) {
        long[] starts = new long[mixOfRow.size() + 1];
        List<AdapterMix> mixes = new ArrayList<>();
        AdapterMix last = null;
        for (int t = 0; t < mixOfRow.size(); ++t) {
            AdapterMix mix = mixOfRow.get(t);
            if (!mix.equals(last)) {
                starts[mixes.size()] = t;
                mixes.add(mix);
                last = mix;
            }
        }
        starts[mixes.size()] = mixOfRow.size();
        return new BatchPlan(List.copyOf(mixes), Arrays.copyOf(starts, mixes.size() + 1));
    }

    /**
     * Makes the plan of rows that all use one slot.
     *
     * @param slot the slot, {@link #BASE} for the base model
     * @param rows the number of rows
     * @return the plan
     */
    public static BatchPlan uniform(int slot, int rows) {
        int[] slotOfRow = new int[rows];
        Arrays.fill(slotOfRow, slot);
        return ofRows(slotOfRow);
    }

    /**
     * Returns the plan in which each row of this one has become several, as when a row is a
     * sequence of that many tokens.
     *
     * @param times how many rows each row becomes, at least 1
     * @return the plan
     */
    public BatchPlan repeatEach(int times) {
        if (times < 1) {
            throw new IllegalArgumentException("times is " + times + "; it must be 1 or more");
        }
        long[] starts = Arrays.stream(segmentStarts).map(start -> start * times).toArray();
        return new BatchPlan(mixes, starts);
    }

    /**
     * Returns the number of rows that the plan covers.
     *
     * @return the number of rows
     */
    public int rows() {
        return (int) segmentStarts[segmentStarts.length - 1];
    }

    /**
     * Returns the number of segments.
     *
     * @return the number of segments
     */
    public int segments() {
        return mixes.size();
    }

    /**
     * Returns what the rows of a segment add to the base model.
     *
     * @param segment the segment's index
     * @return the mix
     */
    public AdapterMix mix(int segment) {
        return mixes.get(segment);
    }

    /**
     * Returns the first row of each segment, and behind them the number of rows.
     *
     * @return a copy, of length {@link #segments()} + 1
     */
    public long[] segmentStarts() {
        return segmentStarts.clone();
    }

    /**
     * Returns whether any row uses several adapters, or one at another strength than its own.
     *
     * @return whether there are stacks
     */
    public boolean hasStacks() {
        return stacks;
    }

    /**
     * Returns the slot of each segment.
     *
     * @return a copy, of length {@link #segments()}
     * @throws IllegalStateException if the plan has stacks
     */
    public long[] slots() {
        if (stacks) {
            throw new IllegalStateException("The plan has stacks: " + this);
        }
        return slots.clone();
    }

    /**
     * Returns where each segment's entries start, and behind them the number of entries.
     *
     * @return a copy, of length {@link #segments()} + 1
     */
    public long[] entryStarts() {
        return entryStarts.clone();
    }

    /**
     * Returns the slot of each entry.
     *
     * @return a copy, segment by segment
     */
    public long[] entrySlots() {
        return entrySlots.clone();
    }

    /**
     * Returns the weight of each entry.
     *
     * @return a copy, segment by segment
     */
    public float[] entryWeights() {
        return entryWeights.clone();
    }

    /** Returns what {@link #segmentStarts()} copies; not to be written to. */
    long[] sharedSegmentStarts() {
        return segmentStarts;
    }

    /** Returns what {@link #slots()} copies, null if the plan has stacks; not to be written to. */
    long[] sharedSlots() {
        return slots;
    }

    /** Returns what {@link #entryStarts()} copies; not to be written to. */
    long[] sharedEntryStarts() {
        return entryStarts;
    }

    /** Returns what {@link #entrySlots()} copies; not to be written to. */
    long[] sharedEntrySlots() {
        return entrySlots;
    }

    /** Returns what {@link #entryWeights()} copies; not to be written to. */
    float[] sharedEntryWeights() {
        return entryWeights;
    }

    /**
     * Returns whether no row uses an adapter.
     *
     * @return whether every row is one of the base model
     */
    public boolean isBaseOnly() {
        return entrySlots.length == 0;
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return "BatchPlan[starts=" + Arrays.toString(segmentStarts) + ", mixes=" + mixes + ']';
    }
}
