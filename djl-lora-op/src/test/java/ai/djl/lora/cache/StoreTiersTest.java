/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.cache.policy.EvictionStrategy;
import ai.djl.lora.cache.policy.EvictionStrategyProvider;
import ai.djl.lora.cache.policy.LruStrategy;
import ai.djl.lora.cache.policy.StrategyContext;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemoryOptions;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.RegistryOptions;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** What a store does when an adapter is not on the device. */
public class StoreTiersTest {

    private static final int ADAPTERS = 20;

    private TempDirectory temp;
    private SmallAdapters adapters;
    private NDManager manager;
    private LoraContext context;

    @BeforeMethod
    public void open() throws IOException {
        temp = new TempDirectory();
        adapters = new SmallAdapters(temp.path(), ADAPTERS);
        manager = NDManager.newBaseManager("PyTorch");
        context = SmallAdapters.context(manager);
    }

    @AfterMethod(alwaysRun = true)
    public void close() throws IOException {
        context.close();
        manager.close();
        temp.close();
    }

    /** Reads as it should, but for the folders that fail. */
    private static final class FailingReader implements AdapterReader {

        private final AtomicInteger failures = new AtomicInteger();
        private volatile Path failing;

        @Override
        public LoraAdapter read(Path source, LoraContext context, LoadingPolicy policy) {
            fail(source);
            return AdapterLoader.load(source, context.getLayout(), policy);
        }

        @Override
        public PackedAdapter read(Path source, DiskImage image) {
            fail(source);
            return image.read(source);
        }

        private void fail(Path source) {
            if (source.equals(failing) && failures.decrementAndGet() >= 0) {
                throw new LoraConfigurationException(source + ": cannot be read: injected");
            }
        }
    }

    private static StoreOptions.Builder options(int room) {
        return StoreOptions.development()
                .optDevice(TierOptions.of(room, 1 << 20))
                .optHost(TierOptions.of(100, 1 << 20))
                .optRetryAfter(Duration.ofMillis(1))
                .optLongestRetry(Duration.ofMillis(2));
    }

    private AdapterStore store(StoreOptions.Builder options, AdapterReader reader) {
        return new AdapterStore(context, options.build(), null, reader, System::nanoTime);
    }

    private AdapterStore filled(StoreOptions.Builder options) {
        AdapterStore store = new AdapterStore(context, options.build());
        for (int i = 0; i < ADAPTERS; ++i) {
            store.register("a" + i, adapters.folder(i));
        }
        return store;
    }

    private void check(AdapterStore store, String name, int seed) {
        try (AdapterLease lease = store.acquire(name)) {
            Assert.assertEquals(adapters.seedOf(lease.getRevision()), seed, name);
            adapters.check(lease, context, manager);
        }
    }

    @Test
    public void twentyAdaptersGoThroughRoomForThree() {
        try (AdapterStore store = filled(options(3).optHostEnabled(false))) {
            for (int round = 0; round < 3; ++round) {
                for (int i = 0; i < ADAPTERS; ++i) {
                    check(store, "a" + i, i);
                }
            }
            StoreStatistics statistics = store.statistics();
            Assert.assertEquals(statistics.adapters(), ADAPTERS);
            Assert.assertEquals(statistics.device().adapters(), 3);
            Assert.assertTrue(statistics.device().evictions().get(EvictionCause.ROOM) >= 17);
            Assert.assertEquals(statistics.host(), Optional.empty());
            Assert.assertEquals(
                    statistics.device().hits() + statistics.device().misses(), 3L * ADAPTERS);
            Assert.assertTrue(statistics.device().loadTime().toNanos() > 0);
        }
    }

    @Test
    public void placesAndUsesCanBeRead() {
        try (AdapterStore store = filled(options(3))) {
            Assert.assertEquals(store.state("a0").place(), AdapterState.Place.DEVICE);
            Assert.assertEquals(store.state("a9").place(), AdapterState.Place.HOST);
            Assert.assertEquals(store.state("a9").bytes(), SmallAdapters.bytes(9));
            check(store, "a9", 9);
            check(store, "a9", 9);
            AdapterState state = store.state("a9");
            Assert.assertEquals(state.place(), AdapterState.Place.DEVICE);
            Assert.assertEquals(state.misses(), 1);
            Assert.assertEquals(state.hits(), 1);
            Assert.assertTrue(state.lastUsed().isPresent());
            Assert.assertTrue(store.offload("a9"));
            Assert.assertEquals(store.state("a9").place(), AdapterState.Place.HOST);
        }
    }

    @Test
    public void compressedCopiesComeBackBitForBit() {
        try (AdapterStore store = filled(options(3).optCompression(Compression.ZSTD))) {
            long before = store.statistics().host().orElseThrow().bytes();
            int compressed = store.compressUnused(Duration.ZERO);
            Assert.assertTrue(compressed > 0);
            Assert.assertEquals(store.statistics().compressed(), compressed);
            Assert.assertTrue(store.statistics().host().orElseThrow().bytes() < before);
            Assert.assertTrue(store.state("a15").compressed());
            for (int i = 0; i < ADAPTERS; ++i) {
                check(store, "a" + i, i);
            }
            Assert.assertFalse(store.state("a15").compressed(), "a use undoes it");
        }
    }

    @Test
    public void adapterIsTriedAgainAsItsPolicySays() {
        FailingReader reader = new FailingReader();
        try (AdapterStore store = store(options(1).optHostEnabled(false), reader)) {
            store.register("a", adapters.folder(1));
            store.register("b", adapters.folder(2));
            check(store, "b", 2);
            reader.failing = adapters.folder(1);
            reader.failures.set(2);
            UnavailablePolicy policy =
                    new UnavailablePolicy(3, Duration.ofMillis(20), false, false);
            try (AdapterLease lease = store.acquire("a", policy)) {
                Assert.assertEquals(lease.getSubstitution(), Optional.empty());
                adapters.check(lease, context, manager);
            }
            Assert.assertEquals(reader.failures.get(), -1);
        }
    }

    @Test
    public void failedAdapterIsAnsweredFromMemoryWithItsReason() {
        FailingReader reader = new FailingReader();
        StoreOptions.Builder options =
                options(1)
                        .optHostEnabled(false)
                        .optRetryAfter(Duration.ofHours(1))
                        .optLongestRetry(Duration.ofHours(1));
        try (AdapterStore store = store(options, reader)) {
            store.register("a", adapters.folder(1));
            store.register("b", adapters.folder(2));
            check(store, "b", 2);
            reader.failing = adapters.folder(1);
            reader.failures.set(10);
            for (int i = 0; i < 5; ++i) {
                LoraException e =
                        Assert.expectThrows(LoraException.class, () -> store.acquire("a"));
                Assert.assertTrue(e.getMessage().contains("injected"), e.getMessage());
            }
            Assert.assertEquals(reader.failures.get(), 9, "read once");
            Assert.assertEquals(store.state("a").place(), AdapterState.Place.FAILED);
            Assert.assertTrue(store.state("a").failure().orElseThrow().contains("injected"));
            check(store, "b", 2);
        }
    }

    @Test
    public void previousRevisionAnswersWhereItMay() {
        FailingReader reader = new FailingReader();
        try (AdapterStore store = store(options(1).optHostEnabled(false), reader)) {
            store.register("a", adapters.folder(1));
            store.replace("a", adapters.folder(2));
            store.register("b", adapters.folder(3));
            check(store, "b", 3);
            reader.failing = adapters.folder(2);
            reader.failures.set(1000);
            Assert.assertThrows(LoraException.class, () -> store.acquire("a"));
            try (AdapterLease lease =
                    store.acquire("a", UnavailablePolicy.FAIL.orPreviousRevision())) {
                Substitution substitution = lease.getSubstitution().orElseThrow();
                Assert.assertEquals(substitution.by(), Substitution.By.PREVIOUS_REVISION);
                Assert.assertTrue(substitution.reason().contains("injected"));
                Assert.assertEquals(adapters.seedOf(lease.getRevision()), 1);
                adapters.check(lease, context, manager);
            }
            reader.failures.set(0);
            awaitSeed(store, "a", 2);
        }
    }

    private void awaitSeed(AdapterStore store, String name, int seed) {
        UnavailablePolicy patient = new UnavailablePolicy(50, Duration.ofMillis(2), false, false);
        try (AdapterLease lease = store.acquire(name, patient)) {
            Assert.assertEquals(adapters.seedOf(lease.getRevision()), seed);
        }
    }

    @Test
    public void baseAnswersWhereItMayAndTheLeaseSaysSo() {
        FailingReader reader = new FailingReader();
        try (AdapterStore store = store(options(1).optHostEnabled(false), reader)) {
            store.register("a", adapters.folder(1));
            store.register("b", adapters.folder(3));
            check(store, "b", 3);
            reader.failing = adapters.folder(1);
            reader.failures.set(1000);
            UnavailablePolicy policy = UnavailablePolicy.FAIL.orPreviousRevision().orBase();
            try (AdapterLease lease = store.acquire("a", policy)) {
                Assert.assertEquals(
                        lease.getSubstitution().orElseThrow().by(), Substitution.By.BASE);
                Assert.assertEquals(lease.getRevision(), "base");
                Assert.assertEquals(lease.getMix().size(), 0);
                Assert.assertThrows(IllegalStateException.class, lease::getSlot);
            }
            Assert.assertThrows(
                    LoraConfigurationException.class, () -> store.acquire("unknown", policy));
        }
    }

    @Test
    public void adaptersPolicyHoldsWhereTheRequestHasNone() {
        FailingReader reader = new FailingReader();
        try (AdapterStore store = store(options(1).optHostEnabled(false), reader)) {
            AdapterSettings settings =
                    AdapterSettings.builder()
                            .optUnavailable(UnavailablePolicy.FAIL.orBase())
                            .build();
            store.register("a", adapters.folder(4), settings);
            store.replace("a", adapters.folder(1)); // keeps the policy
            store.register("b", adapters.folder(3));
            store.registerStack("stack", Map.of("a", 1f));
            check(store, "b", 3);
            reader.failing = adapters.folder(1);
            reader.failures.set(1000);
            try (AdapterLease lease = store.acquire("a")) {
                Assert.assertEquals(lease.getRevision(), "base");
            }
            try (AdapterLease lease = store.acquire("a", Duration.ofSeconds(5)).join()) {
                Assert.assertEquals(lease.getRevision(), "base");
            }
            Assert.assertThrows(
                    LoraException.class, () -> store.acquire("a", UnavailablePolicy.FAIL));
            Assert.assertThrows(LoraException.class, () -> store.acquire("stack"));
            store.setUnavailable("a", null);
            Assert.assertThrows(LoraException.class, () -> store.acquire("a"));
            Assert.assertThrows(
                    LoraConfigurationException.class,
                    () -> store.setUnavailable("unknown", UnavailablePolicy.RETRY));
        }
    }

    @Test
    public void rollbackGivesTheRevisionBefore() {
        try (AdapterStore store = new AdapterStore(context, options(4).build())) {
            store.register("a", adapters.folder(1));
            LoraConfigurationException none =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> store.rollback("a"));
            Assert.assertTrue(none.getMessage().contains("has no revision before"));
            store.replace("a", adapters.folder(2));
            AdapterLease second = store.acquire("a");
            store.rollback("a");
            check(store, "a", 1);
            Assert.assertEquals(adapters.seedOf(second.getRevision()), 2);
            adapters.check(second, context, manager);
            second.close();
            Assert.assertEquals(
                    context.getTable().residentBytes(), SmallAdapters.bytes(1), "2 is freed");
        }
    }

    @Test
    public void refusedReplacementLeavesTheOldOne() throws IOException {
        try (AdapterStore store = new AdapterStore(context, options(4).build())) {
            store.register("a", adapters.folder(1));
            Path broken = temp.path().resolve("none");
            Assert.assertThrows(LoraException.class, () -> store.replace("a", broken));
            check(store, "a", 1);
        }
    }

    @Test
    public void aliasesLeadToAdapters() {
        try (AdapterStore store = new AdapterStore(context, options(4).build())) {
            store.register("a", adapters.folder(1));
            store.register("b", adapters.folder(2));
            store.alias("customer", "a");
            check(store, "customer", 1);
            store.alias("customer", "b");
            check(store, "customer", 2);
            store.unalias("customer");
            Assert.assertThrows(LoraConfigurationException.class, () -> store.acquire("customer"));
        }
    }

    @Test
    public void retiredAdapterAnswersNothingUntilItIsBack() {
        try (AdapterStore store = new AdapterStore(context, options(4).build())) {
            store.register("a", adapters.folder(1));
            store.retire("a");
            LoraConfigurationException e =
                    Assert.expectThrows(LoraConfigurationException.class, () -> store.acquire("a"));
            Assert.assertTrue(e.getMessage().contains("retired"), e.getMessage());
            Assert.assertEquals(context.getTable().residentBytes(), 0);
            store.register("a", adapters.folder(2));
            check(store, "a", 2);
            Assert.assertEquals(store.getRegistry().get("a").revisions().size(), 2);
        }
    }

    @Test
    public void restartedStoreHasWhatItHad() {
        Path directory = temp.path().resolve("registry");
        RegistryOptions registryOptions = RegistryOptions.builder().build();
        try (AdapterRegistry registry = AdapterRegistry.open(directory, registryOptions);
                AdapterStore store = new AdapterStore(context, options(4).build(), registry)) {
            for (int i = 0; i < ADAPTERS; ++i) {
                store.register("a" + i, adapters.folder(i));
            }
            store.replace("a3", adapters.folder(19));
            store.setPinned("a5", true);
            store.alias("alias", "a7");
            for (int i = 0; i < 30; ++i) {
                check(store, "a" + (8 + i % 3), 8 + i % 3);
            }
        }
        try (NDManager second = NDManager.newBaseManager("PyTorch");
                LoraContext fresh = SmallAdapters.context(second);
                AdapterRegistry registry = AdapterRegistry.open(directory, registryOptions);
                AdapterStore store = new AdapterStore(fresh, options(4).build(), registry)) {
            Assert.assertEquals(store.names().size(), ADAPTERS);
            Assert.assertEquals(store.state("a0").place(), AdapterState.Place.DISK);
            Assert.assertEquals(store.warmStart().join().intValue(), 4);
            for (String hot : Set.of("a5", "a8", "a9", "a10")) {
                Assert.assertEquals(store.state(hot).place(), AdapterState.Place.DEVICE, hot);
            }
            Assert.assertTrue(store.state("a5").pinned());
            for (String name : List.of("a0", "a3", "alias")) {
                try (AdapterLease lease = store.acquire(name)) {
                    int seed = "a3".equals(name) ? 19 : "a0".equals(name) ? 0 : 7;
                    Assert.assertEquals(adapters.seedOf(lease.getRevision()), seed);
                    adapters.check(lease, fresh, second);
                }
            }
            Assert.assertEquals(store.report("a1").applied(), List.of(SmallAdapters.MODULE));
            store.rollback("a3");
            try (AdapterLease lease = store.acquire("a3")) {
                Assert.assertEquals(adapters.seedOf(lease.getRevision()), 3);
            }
        }
    }

    @Test
    public void loadWaitsForRoomBeyondItsOwnTimeOut() throws Exception {
        // Long enough that a load itself never takes as long, however busy the machine is.
        Duration loadTimeout = Duration.ofSeconds(4);
        StoreOptions.Builder options = options(1).optLoadTimeout(loadTimeout);
        try (AdapterStore store = new AdapterStore(context, options.build())) {
            store.register("a", adapters.folder(1));
            store.register("b", adapters.folder(2));
            AdapterLease first = store.acquire("a");
            CompletableFuture<AdapterLease> second = store.acquire("b", Duration.ofMinutes(1));
            Thread.sleep(loadTimeout.toMillis() + 200);
            Assert.assertFalse(second.isDone());
            first.close();
            try (AdapterLease lease = second.get(1, TimeUnit.MINUTES)) {
                adapters.check(lease, context, manager);
            }
            try (AdapterLease again = store.acquire("b")) {
                ExecutionException late =
                        Assert.expectThrows(
                                ExecutionException.class,
                                () -> store.acquire("a", Duration.ofMillis(50)).get());
                Assert.assertEquals(late.getCause().getClass(), LoraOffloadException.class);
                Assert.assertEquals(again.getName(), "b");
            }
            check(store, "a", 1);
        }
    }

    @Test
    public void criticalMemoryLetsNothingMoreIn() {
        try (AdapterStore store = filled(options(3))) {
            store.suspendLoads("memory is short, 95 of 100 bytes are in use (test)");
            LoraMemoryException e =
                    Assert.expectThrows(LoraMemoryException.class, () -> store.acquire("a9"));
            Assert.assertEquals(
                    e.getMessage(),
                    "Adapter \"a9\" cannot be loaded now: memory is short, 95 of 100 bytes are in"
                            + " use (test)");
            check(store, "a0", 0);
            store.suspendLoads(null);
            check(store, "a9", 9);
        }
    }

    /** A memory of 100,000 bytes, of which a test says how many are in use. */
    private StoreOptions.Builder watched(AtomicLong used) {
        MemoryOptions memory =
                MemoryOptions.builder().optSampleInterval(Duration.ofMillis(5)).build();
        return options(3)
                .optMonitoringEnabled(true)
                .optMemory(memory)
                .optMemorySource(() -> new MemoryReading(used.get(), 0, 100_000, "test"));
    }

    @Test
    public void shortMemoryMakesAdaptersLeave() throws Exception {
        AtomicLong used = new AtomicLong(50_000);
        try (AdapterStore store = filled(watched(used))) {
            store.addMemoryConsumer("something else", () -> 123);
            await(() -> store.getMemoryMonitor().flatMap(MemoryMonitor::latest).isPresent());
            Assert.assertEquals(store.statistics().device().adapters(), 3);
            AdapterLease kept = store.acquire("a0");
            used.set(95_000);
            await(() -> store.statistics().device().adapters() == 1);
            await(() -> store.statistics().host().orElseThrow().adapters() == 0);
            Assert.assertEquals(
                    store.statistics().device().evictions().get(EvictionCause.PRESSURE).longValue(),
                    2);
            LoraMemoryException e =
                    Assert.expectThrows(LoraMemoryException.class, () -> store.acquire("a9"));
            Assert.assertTrue(e.getMessage().contains("memory is short"), e.getMessage());
            adapters.check(kept, context, manager);
            kept.close();
            used.set(50_000);
            UnavailablePolicy patient =
                    new UnavailablePolicy(100, Duration.ofMillis(5), false, false);
            store.acquire("a9", patient).close();
            Map<String, Long> consumers =
                    store.getMemoryMonitor().orElseThrow().sample().consumers();
            Assert.assertEquals(consumers.get("something else").longValue(), 123);
            Assert.assertEquals(
                    consumers.get("adapters on the device").longValue(),
                    store.statistics().device().bytes());
        }
    }

    @Test
    public void shortMemoryOfTheHostLeavesAdaptersOnAnotherDevice() throws Exception {
        AtomicLong used = new AtomicLong(50_000);
        StoreOptions.Builder options =
                watched(used).optDeviceMemorySource(() -> new MemoryReading(99, 0, 100, "device"));
        try (AdapterStore store = filled(options)) {
            await(() -> store.getMemoryMonitor().flatMap(MemoryMonitor::latest).isPresent());
            await(() -> store.getDeviceMemoryMonitor().flatMap(MemoryMonitor::latest).isPresent());
            check(store, "a9", 9);
            used.set(95_000);
            await(() -> store.statistics().host().orElseThrow().adapters() == 0);
            Assert.assertEquals(store.statistics().device().adapters(), 3);
        }
    }

    @Test
    public void adapterThatDoesNotFitIntoMemoryIsRefusedBeforeItIsRead() throws Exception {
        AtomicLong used = new AtomicLong(50_000);
        try (AdapterStore store = filled(watched(used).optHostEnabled(false))) {
            await(() -> store.getMemoryMonitor().flatMap(MemoryMonitor::latest).isPresent());
            // 1,000 bytes below the point from which on memory is short; a15 has rank 16
            used.set(89_000);
            store.getMemoryMonitor().orElseThrow().sample();
            LoraMemoryException e =
                    Assert.expectThrows(LoraMemoryException.class, () -> store.acquire("a15"));
            Assert.assertEquals(
                    e.getMessage(),
                    "Adapter \"a15\" takes 8192 bytes; 1000 can be had below 90000 bytes, from"
                            + " which on memory is short");
            used.set(50_000);
            store.getMemoryMonitor().orElseThrow().sample();
            check(store, "a15", 15);
        }
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        while (!condition.getAsBoolean()) {
            Assert.assertTrue(System.nanoTime() - end < 0, "not within a minute");
            Thread.sleep(2);
        }
    }

    @Test
    public void manyAreMovedOffInTheBackground() {
        try (AdapterStore store = filled(options(10))) {
            int gone = store.offload(List.of("a0", "a1", "a2", "a2")).join();
            Assert.assertEquals(gone, 3);
            Assert.assertEquals(store.statistics().device().adapters(), 7);
            Assert.assertEquals(
                    store.statistics().device().evictions().get(EvictionCause.REQUEST).longValue(),
                    3);
            store.preload(List.of("a0", "a1", "a11")).join();
            Assert.assertEquals(store.state("a11").place(), AdapterState.Place.DEVICE);
            Assert.assertThrows(
                    LoraConfigurationException.class, () -> store.offload(List.of("none")));
            Assert.assertTrue(store.cleanupUnused(Duration.ZERO) > 0);
            Assert.assertEquals(store.statistics().device().adapters(), 0);
        }
    }

    /** A strategy that cannot make up its mind. */
    private static final class SlowProvider implements EvictionStrategyProvider {

        private final CountDownLatch asked = new CountDownLatch(1);
        private final CountDownLatch answer = new CountDownLatch(1);

        @Override
        public String getName() {
            return "slow";
        }

        @Override
        public EvictionStrategy create(StrategyContext strategyContext) {
            LruStrategy lru = new LruStrategy();
            return new EvictionStrategy() {
                @Override
                public String name() {
                    return "slow";
                }

                @Override
                public void admitted(CacheEntry entry) {
                    lru.admitted(entry);
                }

                @Override
                public void accessed(CacheEntry entry) {
                    lru.accessed(entry);
                }

                @Override
                public void missed(CacheEntry entry) {
                    lru.missed(entry);
                }

                @Override
                public void removed(CacheEntry entry) {
                    lru.removed(entry);
                }

                @Override
                public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
                    asked.countDown();
                    try {
                        Assert.assertTrue(answer.await(1, TimeUnit.MINUTES));
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                    return lru.victim(evictable);
                }
            };
        }
    }

    @Test
    public void evictionNeverBlocksAHit() throws Exception {
        SlowProvider slow = new SlowProvider();
        EvictionStrategies strategies = new EvictionStrategies();
        strategies.register(slow);
        StoreOptions.Builder options =
                options(2)
                        .optStrategies(strategies)
                        .optDevice(TierOptions.of(2, 1 << 20).withStrategy("slow"));
        try (AdapterStore store = new AdapterStore(context, options.build())) {
            for (int i = 0; i < 3; ++i) {
                store.register("a" + i, adapters.folder(i));
            }
            CompletableFuture<AdapterLease> third = store.acquire("a2", Duration.ofMinutes(2));
            Assert.assertTrue(slow.asked.await(1, TimeUnit.MINUTES));
            // the tier's lock is held; more hits than the buffers hold
            for (int i = 0; i < 10_000; ++i) {
                store.acquire("a" + i % 2).close();
            }
            Assert.assertFalse(third.isDone());
            slow.answer.countDown();
            third.get(1, TimeUnit.MINUTES).close();
        }
    }

    @Test
    public void nothingIsLeftWhenTheContextCloses() {
        AdapterStore store = filled(options(3));
        AdapterLease lease = store.acquire("a1");
        context.close();
        Assert.assertThrows(IllegalStateException.class, () -> store.acquire("a1"));
        lease.close();
        boolean running =
                Thread.getAllStackTraces().keySet().stream()
                        .anyMatch(thread -> "djl-lora-maintenance".equals(thread.getName()));
        Assert.assertFalse(running);
    }
}
