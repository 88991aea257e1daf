/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.TierLimits;
import java.time.Duration;
import java.util.Map;

/**
 * What a tier holds and how it has done since the store was opened.
 *
 * @param limits how much it may hold
 * @param adapters the number of adapters in it
 * @param bytes their size
 * @param mostBytes the largest size so far
 * @param hits how often an adapter was there that was asked for
 * @param misses how often it was not
 * @param evictions how often an adapter has left, by cause
 * @param refusals how often the strategy kept what was there and turned a newcomer away that nobody
 *     waited for
 * @param loads how many adapters were brought into the tier
 * @param loadTime the mean time that took
 * @param accessTime the mean time from asking for an adapter to having it, where that was measured:
 *     hits count as nothing
 * @param strategy the name of the strategy
 */
public record TierStatistics(
        TierLimits limits,
        int adapters,
        long bytes,
        long mostBytes,
        long hits,
        long misses,
        Map<EvictionCause, Long> evictions,
        long refusals,
        long loads,
        Duration loadTime,
        Duration accessTime,
        String strategy) {

    /**
     * Constructs a new {@code TierStatistics} instance.
     *
     * @param limits how much it may hold
     * @param adapters the number of adapters in it
     * @param bytes their size
     * @param mostBytes the largest size so far
     * @param hits how often an adapter was there that was asked for
     * @param misses how often it was not
     * @param evictions how often an adapter has left, by cause
     * @param refusals how often a newcomer was turned away
     * @param loads how many adapters were brought into the tier
     * @param loadTime the mean time that took
     * @param accessTime the mean time from asking for an adapter to having it
     * @param strategy the name of the strategy
     */
    public TierStatistics {
        evictions = Map.copyOf(evictions);
    }

    /**
     * Returns the share of requests that found their adapter here.
     *
     * @return from 0 to 1; 0 before the first request
     */
    public double hitRate() {
        long all = hits + misses;
        return all == 0 ? 0 : (double) hits / all;
    }

    /**
     * Returns how full the tier is, by bytes or by adapters, whichever is nearer to its limit.
     *
     * @return from 0 to 1
     */
    public double utilisation() {
        return Math.max((double) bytes / limits.bytes(), (double) adapters / limits.entries());
    }
}
