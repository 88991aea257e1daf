/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import ai.djl.lora.cache.policy.AdaptiveStrategy.Settings;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.testng.Assert;
import org.testng.annotations.Test;

public class AdaptiveStrategyTest {

    private static final TierLimits LIMITS = TierLimits.ofEntries(50);
    private static final List<CacheEntry> ADAPTERS = Traces.equalAdapters(2000);

    @Test
    public void testLeavesTheWorse() {
        Trace trace = Traces.zipf(ADAPTERS, 1, 60_000, 1);
        History history = new History(adaptive(settings("fifo", 0.02, 2), Runnable::run));
        double rate = rate(trace, history);
        Assert.assertEquals(history.names.size(), 2, history.names.toString());
        Assert.assertEquals(history.names.get(0), "fifo");
        Assert.assertTrue(rate > rate(trace, new FifoStrategy()) + 0.1, "rate " + rate);
    }

    /**
     * The window fills at request 10,000, the next evaluation is at 12,000, the third at 14,000.
     */
    @Test
    public void testPatience() {
        Trace trace = Traces.zipf(ADAPTERS, 1, 60_000, 2);
        for (int patience = 1; patience <= 3; ++patience) {
            History history =
                    new History(adaptive(settings("fifo", 0.02, patience), Runnable::run));
            rate(trace, history);
            Assert.assertEquals(history.names.size(), 2, history.names.toString());
            // What was found at a request is put to use at the next.
            Assert.assertEquals(
                    history.changedAt.get(1).intValue(), 10_001 + 2000 * (patience - 1));
        }
    }

    @Test
    public void testStaysWithinTheMargin() {
        Trace zipf = Traces.zipf(ADAPTERS, 1, 60_000, 3);
        History cautious = new History(adaptive(settings("fifo", 0.5, 1), Runnable::run));
        rate(zipf, cautious);
        Assert.assertEquals(cautious.names, List.of("fifo"));
    }

    /** Among uniform requests no strategy is better, and the rates of all scatter. */
    @Test
    public void testDoesNotFlapOnNoise() {
        for (int seed = 0; seed < 5; ++seed) {
            Trace trace = Traces.uniform(ADAPTERS, 60_000, seed);
            History history = new History(adaptive(settings("lru", 0.02, 2), Runnable::run));
            rate(trace, history);
            Assert.assertEquals(history.names, List.of("lru"));
        }
    }

    /** What is best changes back and forth faster than the patience. */
    @Test
    public void testDoesNotFlapBetweenPhases() {
        List<CacheEntry> requests = new ArrayList<>();
        Trace zipf = Traces.zipf(ADAPTERS, 1, 120_000, 4);
        Trace shifting = Traces.shifting(ADAPTERS, 1, 300, 120_000, 5);
        for (int i = 0; i < 120_000; ++i) {
            Trace now = i / 3000 % 2 == 0 ? zipf : shifting;
            requests.add(ADAPTERS.get(now.request(i)));
        }
        Trace trace = AccessRecorder.trace(requests);
        History patient = new History(adaptive(settings("lru", 0.03, 3), Runnable::run));
        double rate = rate(trace, patient);
        // 40 phases
        Assert.assertTrue(patient.names.size() <= 3, patient.names.toString());
        Assert.assertTrue(rate > rate(trace, new LruStrategy()) - 0.01, "rate " + rate);
    }

    /** Where sizes differ and bytes are short, worth for the bytes wins over the default. */
    @Test
    public void testLeavesTheDefaultToo() {
        Trace trace = Traces.uniform(Traces.mixedAdapters(400, 6), 60_000, 6);
        TierLimits limits = new TierLimits(400, 1000L << 20);
        AdaptiveStrategy strategy =
                new AdaptiveStrategy(
                        new EvictionStrategies(),
                        new StrategyContext(() -> limits, Runnable::run),
                        settings(EvictionStrategies.DEFAULT, 0.02, 2));
        new TraceReplay(trace, limits, 0).run(strategy);
        Assert.assertEquals(strategy.current(), "size");
    }

    @Test
    public void testResidentsAreHandedOverInOrder() {
        Settings settings = new Settings("fifo", 1000, 500, 0.02, 1);
        EvictionStrategies onlyLru = new EvictionStrategies();
        AdaptiveStrategy strategy =
                new AdaptiveStrategy(
                        onlyLru,
                        new StrategyContext(() -> TierLimits.ofEntries(3), Runnable::run),
                        settings);
        List<CacheEntry> adapters = Traces.equalAdapters(1000);
        List.of(2, 0, 1).forEach(i -> strategy.admitted(adapters.get(i)));
        // LRU keeps 0, FIFO does not: 0 is asked for in between all the others.
        int request = 0;
        while (strategy.current().equals("fifo")) {
            Assert.assertTrue(++request < 5000, "still fifo");
            CacheEntry entry = adapters.get(request % 2 == 0 ? 0 : 3 + request % 997);
            if (request % 2 == 0) {
                strategy.accessed(entry);
            } else {
                strategy.missed(entry);
            }
        }
        Assert.assertNotEquals(strategy.current(), "fifo");
        // Never asked for, in the order in which they came; then the one that was.
        List<String> order = new ArrayList<>();
        for (int i = 0; i < 3; ++i) {
            CacheEntry victim = strategy.victim(any -> true).orElseThrow();
            order.add(victim.id());
            strategy.removed(victim);
        }
        Assert.assertEquals(order, List.of("adapter-2", "adapter-1", "adapter-0"));
        Assert.assertTrue(strategy.victim(any -> true).isEmpty());
    }

    /** An evaluation that takes long holds no request up, and no second one begins. */
    @Test
    public void testEvaluatesInTheBackground() {
        Queue<Runnable> queue = new ArrayDeque<>();
        AdaptiveStrategy strategy = adaptive(settings("fifo", 0.02, 1), queue::add);
        Trace trace = Traces.zipf(ADAPTERS, 1, 60_000, 7);
        rate(trace, strategy);
        Assert.assertEquals(queue.size(), 1);
        Assert.assertEquals(strategy.current(), "fifo");
        queue.remove().run();
        Assert.assertEquals(strategy.current(), "fifo");
        strategy.missed(ADAPTERS.get(0));
        Assert.assertNotEquals(strategy.current(), "fifo");
    }

    @Test
    public void testBackgroundThread() throws InterruptedException {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        AdaptiveStrategy strategy = adaptive(settings("fifo", 0.02, 1), executor);
        Trace trace = Traces.zipf(ADAPTERS, 1, 30_000, 8);
        rate(trace, strategy);
        executor.shutdown();
        Assert.assertTrue(executor.awaitTermination(60, TimeUnit.SECONDS));
        strategy.missed(ADAPTERS.get(0));
        Assert.assertNotEquals(strategy.current(), "fifo");
        // The executor refuses from now on, which must not reach a request.
        rate(trace, new Later(strategy));
    }

    @Test
    public void testFailuresStayInTheBackground() {
        EvictionStrategies strategies = new EvictionStrategies();
        strategies.register(
                new EvictionStrategyProvider() {

                    @Override
                    public String getName() {
                        return "failing";
                    }

                    @Override
                    public EvictionStrategy create(StrategyContext context) {
                        throw new IllegalStateException("cannot be made");
                    }
                });
        AdaptiveStrategy failing =
                new AdaptiveStrategy(
                        strategies,
                        new StrategyContext(() -> LIMITS, Runnable::run),
                        settings("fifo", 0.02, 1));
        Trace trace = Traces.zipf(ADAPTERS, 1, 30_000, 9);
        Assert.assertEquals(rate(trace, failing), rate(trace, new FifoStrategy()));
        AdaptiveStrategy refused =
                adaptive(
                        settings("fifo", 0.02, 1),
                        task -> {
                            throw new RejectedExecutionException("full");
                        });
        Assert.assertEquals(rate(trace, refused), rate(trace, new FifoStrategy()));
    }

    @Test
    public void testSettingsAreChecked() {
        for (double margin : new double[] {0, -0.1, 1.1, Double.NaN}) {
            Assert.expectThrows(IllegalArgumentException.class, () -> settings("lru", margin, 1));
        }
        Assert.expectThrows(IllegalArgumentException.class, () -> settings("lru", 0.1, 0));
        Assert.expectThrows(
                IllegalArgumentException.class, () -> new Settings("lru", 0, 1, 0.1, 1));
        Assert.expectThrows(
                IllegalArgumentException.class, () -> new Settings("lru", 1, 0, 0.1, 1));
    }

    private static Settings settings(String first, double margin, int patience) {
        return new Settings(first, 10_000, 2_000, margin, patience);
    }

    private static AdaptiveStrategy adaptive(Settings settings, Executor background) {
        return new AdaptiveStrategy(
                new EvictionStrategies(), new StrategyContext(() -> LIMITS, background), settings);
    }

    private static double rate(Trace trace, EvictionStrategy strategy) {
        return new TraceReplay(trace, LIMITS, 10_000).run(strategy).hitRate();
    }

    /** Passes everything on. */
    private static class Later implements EvictionStrategy {

        private final EvictionStrategy strategy;

        Later(EvictionStrategy strategy) {
            this.strategy = strategy;
            // A replay begins with an empty tier.
            Optional<CacheEntry> left = strategy.victim(any -> true);
            while (left.isPresent()) {
                strategy.removed(left.get());
                left = strategy.victim(any -> true);
            }
        }

        @Override
        public String name() {
            return strategy.name();
        }

        @Override
        public void admitted(CacheEntry entry) {
            strategy.admitted(entry);
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
        }

        @Override
        public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
            return strategy.victim(evictable);
        }
    }

    /** Which strategies were in use, and from which request on. */
    private static final class History extends Later {

        private final AdaptiveStrategy strategy;
        private final List<String> names = new ArrayList<>();
        private final List<Integer> changedAt = new ArrayList<>();
        private int requests;

        History(AdaptiveStrategy strategy) {
            super(strategy);
            this.strategy = strategy;
        }

        @Override
        public void accessed(CacheEntry entry) {
            super.accessed(entry);
            note();
        }

        @Override
        public void missed(CacheEntry entry) {
            super.missed(entry);
            note();
        }

        private void note() {
            ++requests;
            String name = strategy.current();
            if (names.isEmpty() || !names.get(names.size() - 1).equals(name)) {
                names.add(name);
                changedAt.add(requests);
            }
        }
    }
}
