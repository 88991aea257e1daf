/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.util.Arrays;

/** What the last steps took for activations, and from that what to keep back for the next. */
final class ActivationWindow {

    private final long[] steps;
    private final double percentile;
    private final double factor;
    private long reported;

    ActivationWindow(MemoryOptions options) {
        steps = new long[options.activationSteps()];
        percentile = options.activationPercentile();
        factor = options.activationFactor();
    }

    synchronized void add(long bytes) {
        steps[(int) (reported++ % steps.length)] = bytes;
    }

    /** Returns the factor times the percentile (nearest rank) of the steps; 0 before the first. */
    synchronized long reserve() {
        int count = (int) Math.min(reported, steps.length);
        if (count == 0) {
            return 0;
        }
        long[] sorted = Arrays.copyOf(steps, count);
        Arrays.sort(sorted);
        int rank = (int) Math.ceil(percentile * count);
        return (long) Math.ceil(factor * sorted[Math.max(0, rank - 1)]);
    }
}
