/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.cache.policy.EvictionStrategy;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/**
 * Counts what a tier holds and decides what leaves it. It touches no memory itself: whoever asks
 * for room frees what has to go.
 *
 * <p>Everything but {@link #hit} takes the tier's lock.
 */
final class Tier {

    private final TierLimits limits;
    private final EvictionStrategy strategy;
    private final ReentrantLock lock = new ReentrantLock();
    private final AccessBuffer<CacheEntry> accesses = new AccessBuffer<>();
    private final Map<String, CacheEntry> held = new HashMap<>();
    private final LongAdder hits = new LongAdder();
    private final LongAdder misses = new LongAdder();
    private final LongAdder evictions = new LongAdder();
    private final LongAdder refusals = new LongAdder();
    private long bytes;
    private long mostBytes;

    /**
     * Constructs a new {@code Tier} instance.
     *
     * @param limits how much it may hold
     * @param strategy what decides who leaves; this tier's alone
     */
    Tier(TierLimits limits, EvictionStrategy strategy) {
        this.limits = limits;
        this.strategy = strategy;
    }

    TierLimits limits() {
        return limits;
    }

    /** Notes a hit; never waits. */
    void hit(CacheEntry entry) {
        hits.increment();
        if (accesses.add(entry) && lock.tryLock()) {
            try {
                drain();
            } finally {
                lock.unlock();
            }
        }
    }

    /** Notes that an adapter was asked for that is not here. */
    void miss(CacheEntry entry) {
        misses.increment();
        lock.lock();
        try {
            drain();
            strategy.missed(entry);
        } finally {
            lock.unlock();
        }
    }

    /** Returns whether an adapter of a size could ever be held. */
    boolean couldHold(long size) {
        return limits.adapters() > 0 && size <= limits.bytes();
    }

    /**
     * Makes room and counts an adapter as held.
     *
     * @param entry the newcomer
     * @param free frees the memory of an adapter that nobody uses; returns false where somebody has
     *     begun to use it meanwhile
     * @param idle whether nobody uses an adapter
     * @param must whether room is made even where the strategy would rather keep what is there
     * @return whether the newcomer is counted
     */
    boolean reserve(
            CacheEntry entry,
            Predicate<CacheEntry> idle,
            Predicate<CacheEntry> free,
            boolean must) {
        lock.lock();
        try {
            drain();
            if (!couldHold(entry.bytes())) {
                return false;
            }
            while (held.size() >= limits.adapters() || bytes > limits.bytes() - entry.bytes()) {
                Optional<CacheEntry> victim = strategy.victim(idle);
                if (victim.isEmpty()) {
                    return false;
                }
                if (!must && !strategy.admits(entry, victim.get())) {
                    refusals.increment();
                    return false;
                }
                if (free.test(victim.get())) {
                    evictions.increment();
                    forget(victim.get());
                }
            }
            add(entry);
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Makes what nobody uses leave, as the strategy chooses, until so many bytes are free. */
    void shrink(long wanted, Predicate<CacheEntry> idle, Predicate<CacheEntry> free) {
        lock.lock();
        try {
            drain();
            long target = Math.max(0, bytes - wanted);
            while (bytes > target) {
                Optional<CacheEntry> victim = strategy.victim(idle);
                if (victim.isEmpty()) {
                    return;
                }
                if (free.test(victim.get())) {
                    evictions.increment();
                    forget(victim.get());
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /** Corrects the size of an adapter that is held, whatever the limits are. */
    void replace(CacheEntry entry) {
        lock.lock();
        try {
            drain();
            if (held.containsKey(entry.id())) {
                forget(entry);
                add(entry);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Counts an adapter as gone whose memory was never filled, or is somebody else's to free. */
    void remove(CacheEntry entry) {
        remove(entry, held -> true);
    }

    /** Frees an adapter and counts it as gone. Returns whether it was held and could be freed. */
    boolean remove(CacheEntry entry, Predicate<CacheEntry> free) {
        lock.lock();
        try {
            drain();
            boolean gone = held.containsKey(entry.id()) && free.test(entry);
            if (gone) {
                forget(entry);
            }
            return gone;
        } finally {
            lock.unlock();
        }
    }

    private void add(CacheEntry entry) {
        held.put(entry.id(), entry);
        bytes += entry.bytes();
        mostBytes = Math.max(mostBytes, bytes);
        strategy.admitted(entry);
    }

    private void forget(CacheEntry entry) {
        CacheEntry gone = held.remove(entry.id());
        bytes -= gone.bytes();
        strategy.removed(gone);
    }

    private void drain() {
        accesses.drain(
                entry -> {
                    // it may have left since
                    if (held.containsKey(entry.id())) {
                        strategy.accessed(entry);
                    }
                });
    }

    /** Returns what this tier holds and how it has done. */
    TierStatistics statistics() {
        lock.lock();
        try {
            return new TierStatistics(
                    limits,
                    held.size(),
                    bytes,
                    mostBytes,
                    hits.sum(),
                    misses.sum(),
                    evictions.sum(),
                    refusals.sum(),
                    strategy.name());
        } finally {
            lock.unlock();
        }
    }
}
