/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.Arrays;

/**
 * What a table on a device has memory for, and is to have. Limits double, so that a table grows
 * seldom. Not thread-safe.
 */
final class CudaLimits {

    private static final int SLOTS = 0;
    private static final int ROWS = 1;
    private static final int RANK = 2;
    private static final int STACK_RANKS = 3;

    private final long[] granted;
    private final long[] wanted;

    CudaLimits(long slots, long rows, long rank, long stackRanks) {
        granted = new long[] {slots, rows, rank, stackRanks};
        wanted = granted.clone();
    }

    CudaLimits slots(int needed) {
        return raise(SLOTS, needed);
    }

    CudaLimits rows(int needed) {
        return raise(ROWS, needed);
    }

    CudaLimits rank(int needed) {
        return raise(RANK, needed);
    }

    CudaLimits stackRanks(int needed) {
        return raise(STACK_RANKS, needed);
    }

    private CudaLimits raise(int limit, long needed) {
        while (wanted[limit] < needed) {
            wanted[limit] *= 2;
        }
        return this;
    }

    /** Returns whether more is wanted than there is. */
    boolean isRaised() {
        return !Arrays.equals(granted, wanted);
    }

    /** Returns slots, rows of a call, ranks of an adapter's module, and ranks of a stack. */
    long[] wanted() {
        return wanted.clone();
    }

    /** Returns what is wanted, in words. */
    String describeWanted() {
        return wanted[SLOTS]
                + " slots, "
                + wanted[ROWS]
                + " rows, ranks of "
                + wanted[RANK]
                + " and stacks of "
                + wanted[STACK_RANKS];
    }

    /** Takes note that the table has what was wanted. */
    void grant() {
        System.arraycopy(wanted, 0, granted, 0, granted.length);
    }

    /** Wants no more than there is. */
    void revert() {
        System.arraycopy(granted, 0, wanted, 0, granted.length);
    }
}
