/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * Runs a trace against strategies and against the best that can be had.
 *
 * <p>Every request is answered before the next one begins. A missing adapter comes in if its bytes
 * fit the limits at all, because its request needs it; only the optima, which know what is to come,
 * may answer a request without keeping its adapter. An instance may be used from several threads.
 */
public final class TraceReplay {

    private final Trace trace;
    private final TierLimits limits;
    private final int warmUp;

    /**
     * Constructs a new {@code TraceReplay} instance.
     *
     * @param trace the trace
     * @param limits what fits the tier, which is empty at first
     * @param warmUp the number of requests at the beginning that are run and not counted
     */
    public TraceReplay(Trace trace, TierLimits limits, int warmUp) {
        if (warmUp < 0 || warmUp > trace.length()) {
            throw new IllegalArgumentException(
                    "warmUp is " + warmUp + ", allowed is 0 to " + trace.length());
        }
        this.trace = trace;
        this.limits = limits;
        this.warmUp = warmUp;
    }

    /**
     * Runs the trace against a strategy.
     *
     * @param strategy a new instance
     * @return what was counted
     * @throws IllegalStateException if the strategy names a victim that is not resident, or none
     */
    public ReplayResult run(EvictionStrategy strategy) {
        Map<String, Integer> indexes = new HashMap<>();
        for (int i = 0; i < trace.entries().size(); ++i) {
            indexes.put(trace.entries().get(i).id(), i);
        }
        BitSet resident = new BitSet();
        int count = 0;
        long bytes = 0;
        Tally tally = new Tally();
        for (int i = 0; i < trace.length(); ++i) {
            int request = trace.request(i);
            CacheEntry entry = trace.entries().get(request);
            tally.request(i, entry, resident.get(request));
            if (resident.get(request)) {
                strategy.accessed(entry);
                continue;
            }
            strategy.missed(entry);
            if (entry.bytes() > limits.bytes()) {
                continue;
            }
            while (count == limits.entries() || bytes > limits.bytes() - entry.bytes()) {
                CacheEntry victim =
                        strategy.victim(any -> true)
                                .orElseThrow(() -> broken(strategy, "names no victim"));
                Integer index = indexes.get(victim.id());
                if (index == null || !resident.get(index)) {
                    throw broken(strategy, "names " + victim.id() + ", which is not resident");
                }
                strategy.removed(victim);
                resident.clear(index);
                --count;
                bytes -= trace.entries().get(index).bytes();
                tally.eviction(i);
            }
            resident.set(request);
            ++count;
            bytes += entry.bytes();
            strategy.admitted(entry);
        }
        return tally.result();
    }

    /**
     * Keeps the most popular adapters resident from the beginning, as many as fit, in the order of
     * {@link Trace#ranking}.
     *
     * @return what was counted
     */
    public ReplayResult staticOptimum() {
        BitSet resident = new BitSet();
        int count = 0;
        long bytes = 0;
        for (int index : trace.ranking()) {
            long size = trace.entries().get(index).bytes();
            if (count < limits.entries() && size <= limits.bytes() - bytes) {
                resident.set(index);
                ++count;
                bytes += size;
            }
        }
        Tally tally = new Tally();
        for (int i = 0; i < trace.length(); ++i) {
            int request = trace.request(i);
            tally.request(i, trace.entries().get(request), resident.get(request));
        }
        return tally.result();
    }

    /**
     * Knows the future and keeps what is asked for soonest (Belady, "A study of replacement
     * algorithms for a virtual-storage computer", 1966), with bypass: an adapter that is asked for
     * later than all residents is not kept. No strategy has more hits.
     *
     * @return what was counted
     * @throws IllegalArgumentException if the adapters differ in size and bytes are limited; no
     *     algorithm is known that finds that optimum in useful time
     */
    public ReplayResult belady() {
        int room = equalRoom();
        int[] nextUses = nextUses();
        // Residents by the request that asks for them next; those never asked for again are let go.
        NavigableMap<Integer, Integer> residents = new TreeMap<>();
        Tally tally = new Tally();
        for (int i = 0; i < trace.length(); ++i) {
            int request = trace.request(i);
            boolean hit = residents.remove(i) != null;
            tally.request(i, trace.entries().get(request), hit);
            int next = nextUses[i];
            if (next == trace.length()) {
                continue;
            }
            if (residents.size() < room) {
                residents.put(next, request);
            } else if (room > 0 && residents.lastKey() > next) {
                residents.pollLastEntry();
                residents.put(next, request);
                tally.eviction(i);
            }
        }
        return tally.result();
    }

    private int equalRoom() {
        long largest = 0;
        long smallest = Long.MAX_VALUE;
        long sum = 0;
        for (CacheEntry entry : trace.entries()) {
            largest = Math.max(largest, entry.bytes());
            smallest = Math.min(smallest, entry.bytes());
            sum = Math.min(limits.bytes(), sum) + entry.bytes();
        }
        if (sum <= limits.bytes() || limits.entries() <= limits.bytes() / Math.max(1, largest)) {
            return limits.entries();
        }
        if (smallest != largest) {
            throw new IllegalArgumentException(
                    "adapters take "
                            + smallest
                            + " to "
                            + largest
                            + " bytes, and with a limit of bytes only equal ones have a known optimum");
        }
        return (int) Math.min(limits.entries(), limits.bytes() / largest);
    }

    private int[] nextUses() {
        int[] next = new int[trace.length()];
        int[] last = new int[trace.entries().size()];
        Arrays.fill(last, trace.length());
        for (int i = trace.length() - 1; i >= 0; --i) {
            next[i] = last[trace.request(i)];
            last[trace.request(i)] = i;
        }
        return next;
    }

    private static IllegalStateException broken(EvictionStrategy strategy, String what) {
        return new IllegalStateException("the strategy " + strategy.name() + " " + what);
    }

    /** Counts what comes after the warm-up. */
    private final class Tally {

        private long hits;
        private long misses;
        private long evictions;
        private long hitNanos;
        private long missNanos;

        void request(int number, CacheEntry entry, boolean hit) {
            if (number < warmUp) {
                return;
            }
            if (hit) {
                ++hits;
                hitNanos += entry.loadNanos();
            } else {
                ++misses;
                missNanos += entry.loadNanos();
            }
        }

        void eviction(int number) {
            if (number >= warmUp) {
                ++evictions;
            }
        }

        ReplayResult result() {
            return new ReplayResult(hits, misses, evictions, hitNanos, missNanos);
        }
    }
}
