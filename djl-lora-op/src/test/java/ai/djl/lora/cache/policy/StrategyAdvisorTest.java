/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class StrategyAdvisorTest {

    @Test
    public void testRatesAreThoseOfReplays() {
        Trace trace = Traces.zipf(Traces.equalAdapters(2000), 1, 20_000, 1);
        TierLimits limits = TierLimits.ofEntries(50);
        Recommendation advice =
                new StrategyAdvisor(new EvictionStrategies()).recommend(trace, limits);
        Assert.assertEquals(advice.results().keySet(), new EvictionStrategies().fixedNames());
        double best = 0;
        for (String name : advice.results().keySet()) {
            EvictionStrategy strategy =
                    new EvictionStrategies()
                            .create(name, new StrategyContext(() -> limits, Runnable::run));
            ReplayResult result = new TraceReplay(trace, limits, 10_000).run(strategy);
            Assert.assertEquals(advice.results().get(name), result, name);
            best = Math.max(best, result.hitRate());
        }
        Assert.assertEquals(advice.results().get(advice.best()).hitRate(), best);
        Assert.assertTrue(advice.results().get("lru").hitRate() < best - 0.05);
    }

    /**
     * Where small adapters are asked for as often as large ones, sizes decide; not so where time
     * counts and a large one takes more of it for each byte.
     */
    @Test
    public void testObjectives() {
        List<CacheEntry> adapters =
                Traces.mixedAdapters(400, 2).stream()
                        .map(
                                entry ->
                                        new CacheEntry(
                                                entry.id(),
                                                entry.bytes(),
                                                entry.bytes() * (entry.bytes() >> 20),
                                                0))
                        .toList();
        Trace trace = Traces.uniform(adapters, 20_000, 2);
        TierLimits limits = new TierLimits(400, 1000L << 20);
        EvictionStrategies strategies = new EvictionStrategies();
        Recommendation hits = new StrategyAdvisor(strategies).recommend(trace, limits);
        Assert.assertEquals(hits.best(), "size");
        Recommendation time =
                new StrategyAdvisor(strategies, ReplayResult::savedLoadTime)
                        .recommend(trace, limits);
        Assert.assertNotEquals(time.best(), "size");
        Assert.assertTrue(
                time.results().get(time.best()).savedLoadTime()
                        > time.results().get("size").savedLoadTime());
    }

    @Test
    public void testWithoutDifferenceTheDefault() {
        Trace trace = Traces.zipf(Traces.equalAdapters(20), 1, 1000, 3);
        StrategyAdvisor advisor = new StrategyAdvisor(new EvictionStrategies());
        Recommendation roomForAll = advisor.recommend(trace, TierLimits.ofEntries(20));
        Assert.assertEquals(roomForAll.best(), EvictionStrategies.DEFAULT);
        Recommendation empty =
                advisor.recommend(AccessRecorder.trace(List.of()), TierLimits.ofEntries(20));
        Assert.assertEquals(empty.best(), EvictionStrategies.DEFAULT);
        Assert.assertEquals(empty.results().get("lru").hitRate(), 0.0);
    }

    @Test
    public void testRecorderKeepsTheLatest() {
        AccessRecorder recorder = new AccessRecorder(3);
        CacheEntry small = new CacheEntry("a", 1, 1, 0);
        CacheEntry large = new CacheEntry("a", 2, 1, 0);
        CacheEntry other = new CacheEntry("b", 1, 1, 0);
        recorder.record(other);
        Assert.assertEquals(recorder.recent(), List.of(other));
        List.of(other, small, other, large).forEach(recorder::record);
        Assert.assertEquals(recorder.recent(), List.of(small, other, large));
        Trace trace = AccessRecorder.trace(recorder.recent());
        Assert.assertEquals(trace.entries(), List.of(large, other));
        Assert.assertEquals(trace.length(), 3);
        Assert.assertEquals(trace.request(0), 0);
        Assert.assertEquals(trace.request(1), 1);
        Assert.assertEquals(trace.request(2), 0);
        Assert.expectThrows(IllegalArgumentException.class, () -> new AccessRecorder(0));
    }
}
