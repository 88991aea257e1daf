/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.Test;

public class TraceReplayTest {

    private static final int MOST_ADAPTERS = 6;

    @Test
    public void testBeladyAgainstBruteForce() {
        SplittableRandom random = new SplittableRandom(1);
        int bypassed = 0;
        for (int i = 0; i < 2000; ++i) {
            int adapters = 1 + random.nextInt(MOST_ADAPTERS);
            int room = 1 + random.nextInt(4);
            int[] requests = random.ints(1 + random.nextInt(14), 0, adapters).toArray();
            Trace trace = new Trace(Traces.equalAdapters(adapters), requests);
            ReplayResult result = new TraceReplay(trace, TierLimits.ofEntries(room), 0).belady();
            int most = mostHits(requests, room, 0, 0, true, new HashMap<>());
            Assert.assertEquals(result.hits(), most, List.of(trace.length(), room).toString());
            Assert.assertEquals(result.hits() + result.misses(), requests.length);
            bypassed += most - mostHits(requests, room, 0, 0, false, new HashMap<>());
        }
        Assert.assertTrue(bypassed > 0, "bypassing never helped");
    }

    @Test
    public void testBeladyWithinLimitOfBytes() {
        List<CacheEntry> adapters = Traces.equalAdapters(50);
        long size = adapters.get(0).bytes();
        Trace trace = Traces.zipf(adapters, 1, 2000, 2);
        ReplayResult byCount = new TraceReplay(trace, TierLimits.ofEntries(7), 100).belady();
        ReplayResult byBytes =
                new TraceReplay(trace, new TierLimits(20, 8 * size - 1), 100).belady();
        Assert.assertEquals(byBytes, byCount);
        ReplayResult none = new TraceReplay(trace, new TierLimits(20, size - 1), 100).belady();
        Assert.assertEquals(none, new ReplayResult(0, 1900, 0, 0, 1900L * 8_000_000));
    }

    @Test
    public void testBeladyRefusesMixedSizesWithinBytes() {
        List<CacheEntry> mixed = Traces.mixedAdapters(100, 3);
        Trace trace = Traces.zipf(mixed, 1, 1000, 3);
        TraceReplay replay = new TraceReplay(trace, new TierLimits(50, 100L << 20), 0);
        Assert.expectThrows(IllegalArgumentException.class, replay::belady);
        // Where bytes never matter they may differ.
        Assert.assertTrue(new TraceReplay(trace, TierLimits.ofEntries(5), 0).belady().hits() > 0);
    }

    @Test
    public void testStaticOptimum() {
        List<CacheEntry> adapters = Traces.equalAdapters(4);
        Trace trace = new Trace(adapters, new int[] {3, 3, 1, 3, 0, 1, 2, 1, 3});
        Assert.assertEquals(trace.ranking(), new int[] {3, 1, 0, 2});
        ReplayResult result = new TraceReplay(trace, TierLimits.ofEntries(2), 1).staticOptimum();
        Assert.assertEquals(result.hits(), 6);
        Assert.assertEquals(result.misses(), 2);
        Assert.assertEquals(result.savedLoadTime(), 0.75, 1e-12);
    }

    @Test
    public void testNoStrategyBeatsBelady() {
        Trace trace = Traces.zipf(Traces.equalAdapters(300), 0.8, 5000, 4);
        TierLimits limits = TierLimits.ofEntries(20);
        TraceReplay replay = new TraceReplay(trace, limits, 0);
        double best = replay.belady().hitRate();
        EvictionStrategies strategies = new EvictionStrategies();
        for (String name : strategies.names()) {
            ReplayResult result =
                    replay.run(
                            strategies.create(
                                    name, new StrategyContext(() -> limits, Runnable::run)));
            Assert.assertTrue(result.hitRate() < best, name);
            Assert.assertEquals(result.hits() + result.misses(), trace.length(), name);
            Assert.assertEquals(result.evictions(), result.misses() - limits.entries(), name);
            Assert.assertEquals(result.hitNanos(), result.hits() * 8_000_000, name);
        }
    }

    /** Limits are never exceeded by a byte, and what does not fit at all never comes in. */
    @Test
    public void testLimitsHold() {
        Trace trace = Traces.zipf(Traces.mixedAdapters(500, 5), 1, 20_000, 5);
        TierLimits limits = new TierLimits(10, (48L << 20) - 1);
        Occupancy occupancy = new Occupancy(new LruStrategy());
        new TraceReplay(trace, limits, 0).run(occupancy);
        Assert.assertEquals(occupancy.mostEntries, 10);
        Assert.assertTrue(occupancy.mostBytes < 48L << 20, occupancy.mostBytes + " bytes");
        Assert.assertTrue(occupancy.mostBytes > 40L << 20, occupancy.mostBytes + " bytes");
        Assert.assertEquals(occupancy.largest, 32L << 20);
    }

    @Test
    public void testSameTraceSameResult() {
        Trace trace = Traces.shifting(Traces.equalAdapters(1000), 1, 2000, 50_000, 6);
        TierLimits limits = TierLimits.ofEntries(50);
        EvictionStrategies strategies = new EvictionStrategies();
        for (String name : strategies.names()) {
            StrategyContext context = new StrategyContext(() -> limits, Runnable::run);
            TraceReplay replay = new TraceReplay(trace, limits, 0);
            Assert.assertEquals(
                    replay.run(strategies.create(name, context)),
                    replay.run(strategies.create(name, context)),
                    name);
        }
    }

    @Test
    public void testBrokenStrategyIsFound() {
        Trace trace = Traces.uniform(Traces.equalAdapters(10), 100, 7);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(2), 0);
        IllegalStateException e =
                Assert.expectThrows(
                        IllegalStateException.class,
                        () -> replay.run(new Answering(Optional.empty())));
        Assert.assertEquals(e.getMessage(), "the strategy broken names no victim");
        CacheEntry other = new CacheEntry("other", 1, 1, 0);
        e =
                Assert.expectThrows(
                        IllegalStateException.class,
                        () -> replay.run(new Answering(Optional.of(other))));
        Assert.assertEquals(
                e.getMessage(), "the strategy broken names other, which is not resident");
    }

    @Test
    public void testWrongArguments() {
        List<CacheEntry> adapters = Traces.equalAdapters(2);
        Trace trace = new Trace(adapters, new int[] {0, 1});
        TierLimits limits = TierLimits.ofEntries(1);
        refused(() -> new TraceReplay(trace, limits, 3));
        refused(() -> new TraceReplay(trace, limits, -1));
        refused(() -> new Trace(adapters, new int[] {2}));
        refused(() -> new Trace(List.of(adapters.get(0), adapters.get(0)), new int[] {0}));
        refused(() -> new TierLimits(0, 1));
        refused(() -> new TierLimits(1, 0));
        refused(() -> new CacheEntry("a", -1, 0, 0));
        refused(() -> new CacheEntry("a", 0, -1, 0));
        refused(() -> new CacheEntry("a", 0, 0, Double.NaN));
        refused(() -> new LfuStrategy(0.5));
        refused(() -> new PriorityStrategy(-1, 0));
    }

    private static void refused(Assert.ThrowingRunnable code) {
        Assert.expectThrows(IllegalArgumentException.class, code);
    }

    /** Tries every decision. */
    private static int mostHits(
            int[] requests,
            int room,
            int at,
            int residents,
            boolean bypass,
            Map<Integer, Integer> known) {
        if (at == requests.length) {
            return 0;
        }
        int key = at << MOST_ADAPTERS | residents;
        Integer done = known.get(key);
        if (done != null) {
            return done;
        }
        int one = 1 << requests[at];
        List<Integer> next = new ArrayList<>();
        int hit = (residents & one) == 0 ? 0 : 1;
        if (hit == 1 || bypass) {
            next.add(residents);
        }
        if (hit == 0 && Integer.bitCount(residents) < room) {
            next.add(residents | one);
        } else if (hit == 0) {
            IntStream.range(0, MOST_ADAPTERS)
                    .filter(i -> (residents >> i & 1) == 1)
                    .forEach(i -> next.add(residents & ~(1 << i) | one));
        }
        int most = 0;
        for (int after : next) {
            most = Math.max(most, hit + mostHits(requests, room, at + 1, after, bypass, known));
        }
        known.put(key, most);
        return most;
    }

    /** Measures what a tier holds. */
    private static final class Occupancy implements EvictionStrategy {

        private final EvictionStrategy strategy;
        private int entries;
        private long bytes;
        private int mostEntries;
        private long mostBytes;
        private long largest;

        Occupancy(EvictionStrategy strategy) {
            this.strategy = strategy;
        }

        @Override
        public String name() {
            return strategy.name();
        }

        @Override
        public void admitted(CacheEntry entry) {
            strategy.admitted(entry);
            bytes += entry.bytes();
            mostEntries = Math.max(mostEntries, ++entries);
            mostBytes = Math.max(mostBytes, bytes);
            largest = Math.max(largest, entry.bytes());
        }

        @Override
        public void accessed(CacheEntry entry) {
            strategy.accessed(entry);
        }

        @Override
        public void missed(CacheEntry entry) {
            strategy.missed(entry);
        }

        @Override
        public void removed(CacheEntry entry) {
            strategy.removed(entry);
            bytes -= entry.bytes();
            --entries;
        }

        @Override
        public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
            return strategy.victim(evictable);
        }
    }

    /** Always gives the same answer. */
    private record Answering(Optional<CacheEntry> answer) implements EvictionStrategy {

        @Override
        public String name() {
            return "broken";
        }

        @Override
        public void admitted(CacheEntry entry) {}

        @Override
        public void accessed(CacheEntry entry) {}

        @Override
        public void missed(CacheEntry entry) {}

        @Override
        public void removed(CacheEntry entry) {}

        @Override
        public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
            return answer;
        }
    }
}
