/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Comparator;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Evicts the largest, so that few evictions free much; of equally large ones what was used the
 * longest time ago.
 */
public final class SizeStrategy implements EvictionStrategy {

    private final EntryHeap heap =
            new EntryHeap(Comparator.comparingLong(CacheEntry::bytes).reversed());

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "size";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        heap.put(entry, 0);
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        if (heap.contains(entry.id())) {
            heap.put(entry, 0);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        // only residents have an order
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
        return candidate.bytes() <= victim.bytes();
    }
}
