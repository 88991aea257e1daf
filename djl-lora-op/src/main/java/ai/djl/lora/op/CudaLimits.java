/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

/**
 * What a table on a device has memory for at present. Limits double, so that a table grows seldom.
 */
final class CudaLimits {

    private static final int SLOTS = 0;
    private static final int ROWS = 1;
    private static final int RANK = 2;
    private static final int STACK_RANKS = 3;

    private final long[] values;
    private boolean raised;

    CudaLimits(long slots, long rows, long rank, long stackRanks) {
        values = new long[] {slots, rows, rank, stackRanks};
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
        while (values[limit] < needed) {
            values[limit] *= 2;
            raised = true;
        }
        return this;
    }

    /** Returns whether a limit was raised since this was last asked. */
    boolean takeRaised() {
        boolean was = raised;
        raised = false;
        return was;
    }

    /** Returns slots, rows of a call, ranks of an adapter's module, and ranks of a stack. */
    long[] values() {
        return values.clone();
    }
}
