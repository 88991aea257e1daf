/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Strategies against their models, over random sequences of what a tier may tell them. */
public class StrategyModelTest {

    private static final int SEQUENCES = 1000;
    private static final int STEPS = 250;
    private static final int ADAPTERS = 14;

    @DataProvider
    public Object[][] strategies() {
        return new EvictionStrategies()
                .fixedNames().stream()
                        .filter(name -> !name.equals(NewestFirstProvider.NAME))
                        .map(name -> new Object[] {name})
                        .toArray(Object[][]::new);
    }

    @Test(dataProvider = "strategies")
    public void testAgainstModel(String name) {
        int changes = 0;
        for (int seed = 0; seed < SEQUENCES; ++seed) {
            StrategyModel model = StrategyModel.of(name);
            EvictionStrategy strategy = create(name);
            Assert.assertEquals(strategy.name(), name);
            new Sequence(strategy, model, seed, STEPS).run();
            if (model instanceof StrategyModel.HorizonLfu horizon) {
                changes += horizon.changes();
            }
        }
        Assert.assertEquals(
                changes > SEQUENCES / 10, name.equals("horizon-lfu"), changes + " changes");
    }

    /** The one that changes its mind has no model, but must keep to the rules all the same. */
    @Test
    public void testAdaptiveKeepsToTheRules() {
        AdaptiveStrategy.Settings often = new AdaptiveStrategy.Settings("fifo", 60, 20, 0.01, 1);
        Set<String> used = new HashSet<>();
        for (int seed = 0; seed < SEQUENCES; ++seed) {
            AdaptiveStrategy strategy =
                    new AdaptiveStrategy(
                            new EvictionStrategies(),
                            new StrategyContext(() -> TierLimits.ofEntries(5), Runnable::run),
                            often);
            new Sequence(strategy, null, seed, STEPS).run();
            used.add(strategy.current());
        }
        Assert.assertTrue(used.size() > 2, used.toString());
    }

    private static EvictionStrategy create(String name) {
        return new EvictionStrategies()
                .create(name, new StrategyContext(() -> TierLimits.ofEntries(5), Runnable::run));
    }

    /** One random sequence. */
    private static final class Sequence {

        private final EvictionStrategy strategy;
        private final StrategyModel model;
        private final SplittableRandom random;
        private final String where;
        private final int steps;
        private final int room;
        private final List<CacheEntry> adapters = new ArrayList<>();
        private final Map<String, CacheEntry> residents = new LinkedHashMap<>();

        Sequence(EvictionStrategy strategy, StrategyModel model, int seed, int steps) {
            this.strategy = strategy;
            this.model = model;
            this.steps = steps;
            random = new SplittableRandom(seed);
            where = strategy.name() + ", sequence " + seed;
            room = 1 + random.nextInt(ADAPTERS - 1);
            for (int i = 0; i < ADAPTERS; ++i) {
                adapters.add(entry(i));
            }
        }

        void run() {
            for (int step = 0; step < steps; ++step) {
                // Half way through others are asked for, so that frequencies have to be forgotten.
                int low = step < steps / 2 ? 0 : ADAPTERS / 2;
                int skewed = low + Math.min(random.nextInt(ADAPTERS), random.nextInt(ADAPTERS));
                int index = skewed % ADAPTERS;
                switch (random.nextInt(20)) {
                    case 0 -> {
                        // Something changed: the priority, the cost, or the size.
                        adapters.set(index, entry(index));
                        if (residents.containsKey(id(index))) {
                            admit(adapters.get(index));
                        }
                    }
                    case 1 -> remove(adapters.get(index));
                    case 2 -> {
                        if (!residents.containsKey(id(index)) && makeRoom()) {
                            admit(adapters.get(index));
                        }
                    }
                    case 3 -> {
                        // A hit that is told late.
                        strategy.accessed(adapters.get(index));
                        if (model != null) {
                            model.accessed(adapters.get(index));
                        }
                        residents.computeIfPresent(id(index), (id, old) -> adapters.get(index));
                    }
                    default -> request(adapters.get(index));
                }
                checkVictim();
            }
        }

        private void request(CacheEntry entry) {
            if (residents.containsKey(entry.id())) {
                strategy.accessed(entry);
                residents.put(entry.id(), entry);
                if (model != null) {
                    model.accessed(entry);
                }
                return;
            }
            strategy.missed(entry);
            if (model != null) {
                model.missed(entry);
            }
            if (makeRoom()) {
                admit(entry);
            }
        }

        private boolean makeRoom() {
            while (residents.size() >= room) {
                Optional<CacheEntry> victim = checkVictim();
                if (victim.isEmpty()) {
                    return false;
                }
                remove(victim.get());
            }
            return true;
        }

        private void admit(CacheEntry entry) {
            strategy.admitted(entry);
            if (model != null) {
                model.admitted(entry);
            }
            residents.put(entry.id(), entry);
        }

        private void remove(CacheEntry entry) {
            strategy.removed(entry);
            if (model != null) {
                model.removed(entry);
            }
            residents.remove(entry.id());
        }

        private Optional<CacheEntry> checkVictim() {
            Set<String> leased = new HashSet<>();
            int share = random.nextInt(4);
            for (CacheEntry entry : adapters) {
                if (random.nextInt(3) < share) {
                    leased.add(entry.id());
                }
            }
            Predicate<CacheEntry> evictable = entry -> !leased.contains(entry.id());
            Optional<CacheEntry> victim = strategy.victim(evictable);
            boolean any = residents.values().stream().anyMatch(evictable);
            Assert.assertEquals(victim.isPresent(), any, where);
            if (victim.isPresent()) {
                CacheEntry entry = victim.get();
                Assert.assertEquals(entry, residents.get(entry.id()), where);
                Assert.assertTrue(evictable.test(entry), where);
            }
            if (model != null) {
                Set<String> right = model.victims(evictable);
                Assert.assertEquals(right.isEmpty(), victim.isEmpty(), where);
                victim.ifPresent(
                        entry ->
                                Assert.assertTrue(
                                        right.contains(entry.id()),
                                        where + ": " + entry.id() + " and not one of " + right));
            }
            return victim;
        }

        private CacheEntry entry(int index) {
            return new CacheEntry(
                    id(index),
                    1 + random.nextInt(64),
                    1 + random.nextInt(64),
                    random.nextInt(3) == 0 ? random.nextInt(3) - 1 : 0);
        }

        private static String id(int index) {
            return "adapter-" + index;
        }
    }
}
