/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class EvictionStrategiesTest {

    private static final StrategyContext CONTEXT =
            new StrategyContext(() -> TierLimits.ofEntries(2), Runnable::run);

    @Test
    public void testNames() {
        EvictionStrategies strategies = new EvictionStrategies();
        Assert.assertEquals(
                new ArrayList<>(strategies.names()),
                List.of(
                        "horizon-lfu",
                        "w-tinylfu",
                        "lfu",
                        "lru",
                        "fifo",
                        "priority",
                        "cost-aware",
                        "size",
                        NewestFirstProvider.NAME,
                        "adaptive"));
        Assert.assertEquals(strategies.names().iterator().next(), EvictionStrategies.DEFAULT);
        for (String name : strategies.names()) {
            Assert.assertEquals(strategies.create(name, CONTEXT).name(), name);
            Assert.assertNotSame(
                    strategies.create(name, CONTEXT), strategies.create(name, CONTEXT));
        }
    }

    @Test
    public void testUnknownName() {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> new EvictionStrategies().create("mru", CONTEXT));
        Assert.assertEquals(
                e.getMessage(),
                "Unknown eviction strategy \"mru\"; allowed are horizon-lfu, w-tinylfu, lfu, lru,"
                        + " fifo, priority, cost-aware, size, newest-first, adaptive");
    }

    @Test
    public void testRegistrationIsPerInstance() {
        EvictionStrategies strategies = new EvictionStrategies();
        strategies.register(new Named("mine"));
        Assert.assertTrue(strategies.fixedNames().contains("mine"));
        Assert.assertFalse(new EvictionStrategies().names().contains("mine"));
        for (String taken : List.of("mine", "lru", "adaptive")) {
            LoraConfigurationException e =
                    Assert.expectThrows(
                            LoraConfigurationException.class,
                            () -> strategies.register(new Named(taken)));
            Assert.assertEquals(
                    e.getMessage(), "Two eviction strategies are called \"" + taken + "\"");
        }
    }

    /** What a prefetch is told: whether it would replace something worth more. */
    @Test
    public void testAdmission() {
        CacheEntry often = new CacheEntry("often", 8, 8, 0);
        CacheEntry seldom = new CacheEntry("seldom", 8, 8, 0);
        for (String name : List.of("horizon-lfu", "w-tinylfu", "lfu", "priority")) {
            EvictionStrategy strategy = new EvictionStrategies().create(name, CONTEXT);
            strategy.missed(often);
            strategy.missed(often);
            strategy.missed(seldom);
            strategy.admitted(seldom);
            Assert.assertTrue(strategy.admits(often, seldom), name);
            strategy.removed(seldom);
            strategy.admitted(often);
            Assert.assertFalse(strategy.admits(seldom, often), name);
        }
        EvictionStrategy bySize = new EvictionStrategies().create("size", CONTEXT);
        Assert.assertFalse(bySize.admits(new CacheEntry("large", 9, 8, 0), often));
        EvictionStrategy byCost = new EvictionStrategies().create("cost-aware", CONTEXT);
        byCost.admitted(often);
        Assert.assertTrue(byCost.admits(new CacheEntry("dear", 8, 9, 0), often));
        Assert.assertFalse(byCost.admits(new CacheEntry("cheap", 8, 7, 0), often));
        EvictionStrategy byPriority = new EvictionStrategies().create("priority", CONTEXT);
        byPriority.missed(often);
        byPriority.admitted(often);
        Assert.assertTrue(byPriority.admits(new CacheEntry("vip", 8, 8, 1), often));
        Assert.assertFalse(byPriority.admits(new CacheEntry("last", 8, 8, -1), often));
    }

    private record Named(String name) implements EvictionStrategyProvider {

        @Override
        public String getName() {
            return name;
        }

        @Override
        public EvictionStrategy create(StrategyContext context) {
            return new LruStrategy();
        }
    }
}
