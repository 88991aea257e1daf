/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

/**
 * What a replay counted, after its warm-up.
 *
 * @param hits the requests for resident adapters
 * @param misses the other requests
 * @param evictions the adapters that left for others
 * @param hitNanos the load time of the hits, which was saved, in nanoseconds
 * @param missNanos the load time of the misses, which was spent, in nanoseconds
 */
public record ReplayResult(long hits, long misses, long evictions, long hitNanos, long missNanos) {

    /**
     * Returns the share of the requests that were hits.
     *
     * @return from 0 to 1; 0 where there were no requests
     */
    public double hitRate() {
        return hits == 0 ? 0 : (double) hits / (hits + misses);
    }

    /**
     * Returns the share of the load time that was saved.
     *
     * @return from 0 to 1; 0 where there was none
     */
    public double savedLoadTime() {
        return hitNanos == 0 ? 0 : (double) hitNanos / ((double) hitNanos + missNanos);
    }
}
