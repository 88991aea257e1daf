/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Optional;
import java.util.function.Predicate;

/**
 * Decides which adapter leaves a tier.
 *
 * <p>A tier has an instance of its own, and calls it under the tier's lock: implementations need
 * not be safe for several threads. They take time from the number of requests that they were told
 * of, never from a clock, so that a trace always replays to the same result. They are not told the
 * tier's limits, which may change at any time: what is resident is the measure.
 *
 * <p>A request for an adapter is told once, as {@link #accessed} if it is resident and as {@link
 * #missed} if not. A load that no request waits for (prefetch, warm start) is told as {@link
 * #admitted} alone.
 */
public interface EvictionStrategy {

    /**
     * Returns the name by which users choose the strategy.
     *
     * @return the name, such as {@code lru}
     */
    String name();

    /**
     * Tells that an adapter has become resident. One that is resident already is replaced.
     *
     * @param entry the adapter
     */
    void admitted(CacheEntry entry);

    /**
     * Tells of a request for a resident adapter. A hit that is told late, when the adapter has left
     * already, counts as a request and changes nothing else.
     *
     * @param entry the adapter
     */
    void accessed(CacheEntry entry);

    /**
     * Tells of a request for an adapter that is not resident.
     *
     * @param entry the adapter
     */
    void missed(CacheEntry entry);

    /**
     * Tells that an adapter has left the tier, for whatever reason. One that is not resident is
     * ignored.
     *
     * @param entry the adapter
     */
    void removed(CacheEntry entry);

    /**
     * Returns the adapter that should leave next. Asking changes nothing: it leaves when {@link
     * #removed} tells so.
     *
     * <p>The cost is that of a few steps in a heap or a list for each adapter that goes before the
     * victim and is not evictable.
     *
     * @param evictable which adapters may leave; leased and pinned ones may not
     * @return the victim, empty only if no resident adapter is evictable
     */
    Optional<CacheEntry> victim(Predicate<CacheEntry> evictable);

    /**
     * Returns whether a newcomer deserves the place of a victim. To be asked before a load that no
     * request waits for, such as a prefetch; an adapter that a request waits for comes in whatever
     * the answer would be.
     *
     * @param candidate an adapter that is not resident
     * @param victim the one that would leave for it
     * @return whether the candidate is worth more
     */
    default boolean admits(CacheEntry candidate, CacheEntry victim) {
        return true;
    }
}
