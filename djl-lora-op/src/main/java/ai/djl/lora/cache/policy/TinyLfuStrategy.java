/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Optional;
import java.util.function.Predicate;

/**
 * W-TinyLFU (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy",
 * 2017).
 *
 * <p>A newcomer enters a window of 1 % of the resident bytes, and at least one adapter. The oldest
 * of a full window competes with the oldest of the main part, and the one that a sketch of all
 * requests counts less leaves. The main part is a segmented LRU: a hit in its probation moves an
 * adapter to its protected segment, 80 % of the main part, whose oldest falls back.
 */
public final class TinyLfuStrategy implements EvictionStrategy {

    private static final double WINDOW_SHARE = 0.01;
    private static final double PROTECTED_SHARE = 0.8;

    private final EntryQueue window = new EntryQueue();
    private final EntryQueue probation = new EntryQueue();
    private final EntryQueue guarded = new EntryQueue();
    private final FrequencySketch sketch = new FrequencySketch();

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "w-tinylfu";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        removed(entry);
        window.addLast(entry);
        sketch.ensure(window.size() + probation.size() + guarded.size());
        while (window.size() > 1 && window.bytes() > WINDOW_SHARE * bytes()) {
            moveFirst(window, probation);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        sketch.record(entry.id());
        if (window.contains(entry.id())) {
            window.addLast(entry);
        } else if (guarded.contains(entry.id())) {
            guarded.addLast(entry);
        } else if (probation.remove(entry.id())) {
            guarded.addLast(entry);
            long main = guarded.bytes() + probation.bytes();
            while (guarded.size() > 1 && guarded.bytes() > PROTECTED_SHARE * main) {
                moveFirst(guarded, probation);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        sketch.record(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public void removed(CacheEntry entry) {
        if (!window.remove(entry.id()) && !probation.remove(entry.id())) {
            guarded.remove(entry.id());
        }
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        Optional<CacheEntry> main = probation.first(evictable).or(() -> guarded.first(evictable));
        Optional<CacheEntry> candidate = window.first(evictable);
        if (candidate.isEmpty()) {
            return main;
        }
        if (main.isEmpty()) {
            return candidate;
        }
        // Only what a newcomer pushes out of a full window has to compete.
        boolean full = window.bytes() >= WINDOW_SHARE * bytes();
        return full && !admits(candidate.get(), main.get()) ? candidate : main;
    }

    /** {@inheritDoc} */
    @Override
    public boolean admits(CacheEntry candidate, CacheEntry victim) {
        return sketch.frequency(candidate.id()) > sketch.frequency(victim.id());
    }

    private long bytes() {
        return window.bytes() + probation.bytes() + guarded.bytes();
    }

    private static void moveFirst(EntryQueue from, EntryQueue to) {
        CacheEntry first = from.first(entry -> true).orElseThrow();
        from.remove(first.id());
        to.addLast(first);
    }
}
