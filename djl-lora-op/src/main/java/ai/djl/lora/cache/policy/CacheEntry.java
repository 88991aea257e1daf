/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Objects;

/**
 * What a strategy knows of an adapter. Its id is what tells it from others; the rest may change
 * from one call to the next, and the latest holds.
 *
 * @param id the adapter's id
 * @param bytes what it takes in the tier
 * @param loadNanos what it costs to load it into the tier, in nanoseconds; 0 where not known
 * @param priority the user's score, 0 where none was given: of two adapters the lower goes first
 *     (only {@link PriorityStrategy} looks at it)
 */
public record CacheEntry(String id, long bytes, long loadNanos, double priority) {

    /**
     * Constructs a new {@code CacheEntry} instance.
     *
     * @param id the adapter's id
     * @param bytes what it takes in the tier
     * @param loadNanos what it costs to load it into the tier, in nanoseconds; 0 where not known
     * @param priority the user's score, 0 where none was given
     */
    public CacheEntry {
        Objects.requireNonNull(id, "id");
        if (bytes < 0) {
            throw new IllegalArgumentException(id + ": bytes is " + bytes + ", allowed is >= 0");
        }
        if (loadNanos < 0) {
            throw new IllegalArgumentException(
                    id + ": loadNanos is " + loadNanos + ", allowed is >= 0");
        }
        if (!Double.isFinite(priority)) {
            throw new IllegalArgumentException(
                    id + ": priority is " + priority + ", allowed is a finite number");
        }
    }
}
