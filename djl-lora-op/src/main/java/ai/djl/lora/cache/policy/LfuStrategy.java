/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Optional;
import java.util.function.Predicate;

/**
 * Evicts what was asked for least often. Requests age: one that lies h requests back counts 1/e of
 * a new one. Frequencies are remembered beyond eviction, and count requests that missed.
 */
public final class LfuStrategy implements EvictionStrategy {

    private static final int REMEMBERED = 1 << 16;
    private static final double HORIZON = 8192;

    private final EntryHeap heap = new EntryHeap();
    private final FrequencyHistory history;

    /** Constructs a new {@code LfuStrategy} instance with a horizon of 8,192 requests. */
    public LfuStrategy() {
        this(HORIZON);
    }

    /**
     * Constructs a new {@code LfuStrategy} instance.
     *
     * @param horizon the number of requests after which one counts 1/e
     */
    public LfuStrategy(double horizon) {
        if (!(horizon >= 1) || horizon == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException(
                    "horizon is " + horizon + ", allowed is a finite number of 1 or more");
        }
        history = new FrequencyHistory(REMEMBERED, heap::contains, horizon);
    }

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "lfu";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        heap.put(entry, history.rank(entry.id(), 0));
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        history.record(entry.id());
        if (heap.contains(entry.id())) {
            heap.put(entry, history.rank(entry.id(), 0));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        history.record(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public void removed(CacheEntry entry) {
        heap.remove(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        return heap.first(evictable);
    }

    /** {@inheritDoc} */
    @Override
    public boolean admits(CacheEntry candidate, CacheEntry victim) {
        return history.rank(candidate.id(), 0) > history.rank(victim.id(), 0);
    }
}
