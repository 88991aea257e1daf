/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Evicts what is worth least for its bytes: GreedyDual-Size with frequency (Cherkasova, "Improving
 * WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs 1998).
 *
 * <p>A resident adapter's value is {@code L + requests * loadNanos / bytes}, taken at each request
 * since it became resident. L, the value of the last one evicted, rises with time and so ages what
 * is no longer asked for.
 */
public final class CostAwareStrategy implements EvictionStrategy {

    private final EntryHeap heap = new EntryHeap();
    private final Map<String, Long> requests = new HashMap<>();
    private double inflation;
    private String lastVictim;

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "cost-aware";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        requests.put(entry.id(), 1L);
        heap.put(entry, value(entry, 1));
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        Long count = requests.computeIfPresent(entry.id(), (id, before) -> before + 1);
        if (count != null) {
            heap.put(entry, value(entry, count));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        // the count begins anew when an adapter comes in
    }

    /** {@inheritDoc} */
    @Override
    public void removed(CacheEntry entry) {
        if (requests.remove(entry.id()) == null) {
            return;
        }
        // What a user deletes says nothing about the worth of those that stay.
        if (entry.id().equals(lastVictim)) {
            inflation = Math.max(inflation, heap.score(entry.id()));
            lastVictim = null;
        }
        heap.remove(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        Optional<CacheEntry> victim = heap.first(evictable);
        lastVictim = victim.map(CacheEntry::id).orElse(null);
        return victim;
    }

    /** {@inheritDoc} */
    @Override
    public boolean admits(CacheEntry candidate, CacheEntry victim) {
        return value(candidate, 1) > heap.score(victim.id());
    }

    private double value(CacheEntry entry, long count) {
        double cost = Math.max(1, entry.loadNanos());
        return inflation + count * cost / Math.max(1, entry.bytes());
    }
}
