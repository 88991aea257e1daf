/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

/**
 * What a tier holds and how it has done since the store was opened.
 *
 * @param limits how much it may hold
 * @param adapters the number of adapters in it
 * @param bytes their size
 * @param mostBytes the largest size so far
 * @param hits how often an adapter was there that was asked for
 * @param misses how often it was not
 * @param evictions how often an adapter had to leave for another
 * @param refusals how often the strategy kept what was there and turned a newcomer away
 * @param strategy the name of the strategy
 */
public record TierStatistics(
        TierLimits limits,
        int adapters,
        long bytes,
        long mostBytes,
        long hits,
        long misses,
        long evictions,
        long refusals,
        String strategy) {

    /**
     * Returns the share of requests that found their adapter here.
     *
     * @return from 0 to 1; 0 before the first request
     */
    public double hitRate() {
        long all = hits + misses;
        return all == 0 ? 0 : (double) hits / all;
    }
}
