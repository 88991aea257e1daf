/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * How a {@link BlockPool} stands at one moment. Sizes are in bytes.
 *
 * @param limit what blocks may take together
 * @param used what they take, each counted up to the alignment
 * @param requested what was asked for by them
 * @param largest the largest block that can be had
 * @param largestView the largest block that the arena can show at all
 * @param blocks how many blocks there are
 * @param freeRanges in how many ranges the free memory lies
 * @param allocations how many blocks were cut since the pool was made
 * @param frees how many were freed
 * @param refusals how many could not be had
 * @param moves how many blocks defragmentation has moved
 * @param movedBytes how much it has moved
 */
public record PoolStatistics(
        long limit,
        long used,
        long requested,
        long largest,
        long largestView,
        int blocks,
        int freeRanges,
        long allocations,
        long frees,
        long refusals,
        long moves,
        long movedBytes) {

    /**
     * Returns what is free, in whatever pieces.
     *
     * @return the size in bytes
     */
    public long free() {
        return limit - used;
    }

    /**
     * Returns how far the free memory is from being one piece: 1 - largest block that can be had /
     * free bytes. Where more is free than one block can have, the latter counts.
     *
     * @return from 0 (one piece, or nothing free) to 1
     */
    public double fragmentation() {
        long best = Math.min(free(), largestView);
        return best == 0 ? 0 : 1 - (double) largest / best;
    }

    /**
     * Returns how full the pool is.
     *
     * @return used bytes over the limit, from 0 to 1
     */
    public double utilisation() {
        return (double) used / limit;
    }
}
