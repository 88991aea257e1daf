/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.AccessRecorder;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.cache.policy.EvictionStrategy;
import ai.djl.lora.cache.policy.StrategyContext;
import ai.djl.lora.cache.policy.TierLimits;
import java.time.Duration;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * Counts what a tier holds and decides what leaves it. It touches no memory itself: whoever asks
 * for room frees what has to go.
 *
 * <p>Everything but {@link #hit} takes the tier's lock.
 */
final class Tier {

    /** So many recent requests are kept, to replay them against other strategies. */
    private static final int RECENT = 20_000;

    private final EvictionStrategy strategy;
    private final ReentrantLock lock = new ReentrantLock();
    private final AccessBuffer<CacheEntry> accesses = new AccessBuffer<>();
    private final AccessRecorder recent = new AccessRecorder(RECENT);
    private final Map<String, CacheEntry> held = new HashMap<>();
    private final Map<EvictionCause, Long> evictions = new EnumMap<>(EvictionCause.class);
    private BiConsumer<CacheEntry, EvictionCause> evicted = (entry, cause) -> {};
    private final LongAdder hits = new LongAdder();
    private final LongAdder misses = new LongAdder();
    private final LongAdder waitedNanos = new LongAdder();
    private final Consumer<CacheEntry> observer;
    private volatile TierLimits limits;
    private long refusals;
    private long loads;
    private long loadNanos;
    private long bytes;
    private long mostBytes;

    /**
     * Constructs a new {@code Tier} instance.
     *
     * @param limits how much it may hold
     * @param strategies where the strategy is looked up
     * @param strategy the strategy's name
     * @param background where a strategy may work outside the tier's lock
     * @param observer is told of requests, some time after a hit and not of all hits
     */
    Tier(
            TierLimits limits,
            EvictionStrategies strategies,
            String strategy,
            Executor background,
            Consumer<CacheEntry> observer) {
        this.limits = limits;
        this.observer = observer;
        this.strategy =
                strategies.create(strategy, new StrategyContext(() -> this.limits, background));
    }

    TierLimits limits() {
        return limits;
    }

    /** Sets how much the tier may hold; what is too much has to be made to leave. */
    void setLimits(TierLimits limits) {
        this.limits = limits;
    }

    /** Sets who is told, under the tier's lock, of what has left. */
    void onEviction(BiConsumer<CacheEntry, EvictionCause> listener) {
        lock.lock();
        try {
            evicted = listener;
        } finally {
            lock.unlock();
        }
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
            recent.record(entry);
            observer.accept(entry);
            strategy.missed(entry);
        } finally {
            lock.unlock();
        }
    }

    /** Returns how many requests there were. */
    long requests() {
        return hits.sum() + misses.sum();
    }

    /** Notes how long a request that missed has waited. */
    void waited(long nanos) {
        waitedNanos.add(nanos);
    }

    /** Returns whether an adapter of a size could ever be held. */
    boolean couldHold(long size) {
        return size <= limits.bytes();
    }

    /** For whom room is made. */
    enum Demand {
        /** A request that waits: whoever can leaves. */
        REQUEST,
        /** Nobody yet: the strategy decides whether the newcomer is worth it. */
        FORESIGHT,
        /** Nobody: only free room is taken. */
        FREE_ROOM
    }

    /**
     * Makes room and counts an adapter as held.
     *
     * @param entry the newcomer
     * @param demand for whom
     * @param idle whether nobody uses an adapter
     * @param free frees the memory of an adapter that nobody uses; returns false where somebody has
     *     begun to use it meanwhile
     * @return whether the newcomer is counted
     */
    boolean reserve(
            CacheEntry entry,
            Demand demand,
            Predicate<CacheEntry> idle,
            Predicate<CacheEntry> free) {
        lock.lock();
        try {
            drain();
            if (!couldHold(entry.bytes())) {
                return false;
            }
            while (held.size() >= limits.entries() || bytes > limits.bytes() - entry.bytes()) {
                Optional<CacheEntry> victim =
                        demand == Demand.FREE_ROOM ? Optional.empty() : strategy.victim(idle);
                if (victim.isEmpty()) {
                    return false;
                }
                if (demand == Demand.FORESIGHT && !strategy.admits(entry, victim.get())) {
                    ++refusals;
                    return false;
                }
                if (free.test(victim.get())) {
                    forget(victim.get(), EvictionCause.ROOM);
                }
            }
            add(entry);
            return true;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Makes what nobody uses leave, as the strategy chooses, until the tier holds no more than so
     * many bytes and is within its limits.
     *
     * @param target the bytes
     * @param cause why
     * @param idle whether nobody uses an adapter
     * @param free frees the memory of an adapter
     * @return how many adapters have left
     */
    int shrink(
            long target,
            EvictionCause cause,
            Predicate<CacheEntry> idle,
            Predicate<CacheEntry> free) {
        lock.lock();
        try {
            drain();
            int gone = 0;
            while (bytes > Math.min(target, limits.bytes()) || held.size() > limits.entries()) {
                Optional<CacheEntry> victim = strategy.victim(idle);
                if (victim.isEmpty()) {
                    break;
                }
                if (free.test(victim.get())) {
                    forget(victim.get(), cause);
                    ++gone;
                }
            }
            return gone;
        } finally {
            lock.unlock();
        }
    }

    /** Corrects the size of an adapter that is held, whatever the limits are. */
    void replace(CacheEntry entry) {
        lock.lock();
        try {
            drain();
            CacheEntry before = held.get(entry.id());
            if (before != null) {
                strategy.removed(before);
                bytes -= before.bytes();
                add(entry);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Takes back a reservation whose memory was never filled. */
    void cancel(CacheEntry entry) {
        lock.lock();
        try {
            CacheEntry gone = held.remove(entry.id());
            bytes -= gone.bytes();
            strategy.removed(gone);
        } finally {
            lock.unlock();
        }
    }

    /** Notes that a reservation was filled. */
    void loaded(long nanos) {
        lock.lock();
        try {
            ++loads;
            loadNanos += nanos;
        } finally {
            lock.unlock();
        }
    }

    /** Frees an adapter and counts it as gone. Returns whether it was held and could be freed. */
    boolean remove(CacheEntry entry, EvictionCause cause, Predicate<CacheEntry> free) {
        lock.lock();
        try {
            drain();
            boolean gone = held.containsKey(entry.id()) && free.test(entry);
            if (gone) {
                forget(entry, cause);
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

    private void forget(CacheEntry entry, EvictionCause cause) {
        CacheEntry gone = held.remove(entry.id());
        bytes -= gone.bytes();
        evictions.merge(cause, 1L, Long::sum);
        strategy.removed(gone);
        evicted.accept(gone, cause);
    }

    private void drain() {
        accesses.drain(
                entry -> {
                    recent.record(entry);
                    observer.accept(entry);
                    strategy.accessed(entry);
                });
    }

    /** Returns the recent requests, oldest first. */
    List<CacheEntry> recent() {
        lock.lock();
        try {
            drain();
            return recent.recent();
        } finally {
            lock.unlock();
        }
    }

    /** Returns what this tier holds and how it has done. */
    TierStatistics statistics() {
        lock.lock();
        try {
            long asked = hits.sum() + misses.sum();
            return new TierStatistics(
                    limits,
                    held.size(),
                    bytes,
                    mostBytes,
                    hits.sum(),
                    misses.sum(),
                    evictions,
                    refusals,
                    loads,
                    Duration.ofNanos(loads == 0 ? 0 : loadNanos / loads),
                    Duration.ofNanos(asked == 0 ? 0 : waitedNanos.sum() / asked),
                    strategy.name());
        } finally {
            lock.unlock();
        }
    }
}
