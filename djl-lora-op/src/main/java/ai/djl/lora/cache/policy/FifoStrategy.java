/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Optional;
import java.util.function.Predicate;

/** Evicts what became resident the longest time ago. */
public final class FifoStrategy implements EvictionStrategy {

    private final EntryQueue queue = new EntryQueue();

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "fifo";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        queue.addLast(entry);
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        if (queue.contains(entry.id())) {
            queue.replace(entry);
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
        queue.remove(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        return queue.first(evictable);
    }
}
