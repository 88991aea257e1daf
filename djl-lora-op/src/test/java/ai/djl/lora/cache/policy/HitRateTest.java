/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/**
 * What the default strategy must reach among 10,000 adapters: 300,000 requests, of which the first
 * 100,000 are not counted.
 */
public class HitRateTest {

    private static final int LENGTH = 300_000;
    private static final int WARM_UP = 100_000;
    private static final List<CacheEntry> ADAPTERS = Traces.equalAdapters(10_000);

    @DataProvider
    public Object[][] cases() {
        return new Object[][] {{100, 11}, {100, 12}, {100, 13}, {1000, 11}, {1000, 12}, {1000, 13}};
    }

    @Test(dataProvider = "cases")
    public void testZipfNearStaticOptimum(int room, long seed) {
        Trace trace = Traces.zipf(ADAPTERS, 1, LENGTH, seed);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(room), WARM_UP);
        double rate = rate(replay, EvictionStrategies.DEFAULT, room);
        double optimum = replay.staticOptimum().hitRate();
        Assert.assertTrue(rate >= 0.95 * optimum, rate + " of " + optimum);
    }

    /** It must also have learnt quickly: the bar holds after 10,000 requests. */
    @Test(dataProvider = "cases")
    public void testZipfSoonNearStaticOptimum(int room, long seed) {
        Trace trace = Traces.zipf(ADAPTERS, 1, 50_000, seed);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(room), 10_000);
        double rate = rate(replay, EvictionStrategies.DEFAULT, room);
        double optimum = replay.staticOptimum().hitRate();
        Assert.assertTrue(rate >= 0.95 * optimum, rate + " of " + optimum);
    }

    @Test(dataProvider = "cases")
    public void testShiftsNearLru(int room, long seed) {
        Trace trace = Traces.shifting(ADAPTERS, 1, 10_000, LENGTH, seed);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(room), WARM_UP);
        double rate = rate(replay, EvictionStrategies.DEFAULT, room);
        double lru = rate(replay, "lru", room);
        Assert.assertTrue(rate >= lru - 0.05, rate + ", lru " + lru);
    }

    @Test(dataProvider = "cases")
    public void testScansDoNotFlush(int room, long seed) {
        Trace trace = Traces.scans(ADAPTERS, 1, 5_000, 1_000, LENGTH, seed);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(room), WARM_UP);
        double rate = rate(replay, EvictionStrategies.DEFAULT, room);
        double optimum = replay.staticOptimum().hitRate();
        Assert.assertTrue(rate >= 0.95 * optimum, rate + " of " + optimum);
    }

    /** The replay itself against rates that are known: LRU 0.39, static 0.53, Belady 0.58. */
    @Test
    public void testKnownRates() {
        Trace trace = Traces.zipf(ADAPTERS, 1, LENGTH, 14);
        TraceReplay replay = new TraceReplay(trace, TierLimits.ofEntries(100), WARM_UP);
        // The sum of 1/i up to 100 over that up to 10,000 is 0.530.
        Assert.assertEquals(replay.staticOptimum().hitRate(), 0.530, 0.005);
        Assert.assertEquals(rate(replay, "lru", 100), 0.39, 0.01);
        Assert.assertEquals(replay.belady().hitRate(), 0.58, 0.01);
    }

    private static double rate(TraceReplay replay, String strategy, int room) {
        StrategyContext context =
                new StrategyContext(() -> TierLimits.ofEntries(room), Runnable::run);
        return replay.run(new EvictionStrategies().create(strategy, context)).hitRate();
    }
}
