/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.Arrays;

/**
 * Says which rows of a step use which adapter: rows of one adapter lie together in a segment.
 *
 * <p>Row {@code t} of segment {@code s}, where {@code segmentStarts[s] <= t < segmentStarts[s +
 * 1]}, uses the adapter in slot {@code slots[s]} of the {@link AdapterTable}, or none if that is
 * {@link #BASE}. A plan is made once for a step and holds for every layer of the model.
 */
public final class BatchPlan {

    /** The slot of rows that use the base model alone. */
    public static final int BASE = -1;

    private final long[] segmentStarts;
    private final long[] slots;

    private BatchPlan(long[] segmentStarts, long[] slots) {
        this.segmentStarts = segmentStarts;
        this.slots = slots;
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
        long[] starts = new long[slotOfRow.length + 1];
        long[] slots = new long[slotOfRow.length];
        int segments = 0;
        for (int t = 0; t < slotOfRow.length; ++t) {
            if (slotOfRow[t] < BASE) {
                throw new IllegalArgumentException(
                        "slotOfRow["
                                + t
                                + "] is "
                                + slotOfRow[t]
                                + "; slots are -1 (base) or more");
            }
            if (t == 0 || slotOfRow[t] != slotOfRow[t - 1]) {
                starts[segments] = t;
                slots[segments] = slotOfRow[t];
                ++segments;
            }
        }
        starts[segments] = slotOfRow.length;
        return new BatchPlan(Arrays.copyOf(starts, segments + 1), Arrays.copyOf(slots, segments));
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
        return new BatchPlan(starts, slots);
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
        return slots.length;
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
     * Returns the slot of each segment.
     *
     * @return a copy, of length {@link #segments()}
     */
    public long[] slots() {
        return slots.clone();
    }

    /**
     * Returns whether no row uses an adapter.
     *
     * @return whether every row is one of the base model
     */
    public boolean isBaseOnly() {
        return Arrays.stream(slots).allMatch(slot -> slot == BASE);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return "BatchPlan[starts="
                + Arrays.toString(segmentStarts)
                + ", slots="
                + Arrays.toString(slots)
                + ']';
    }
}
