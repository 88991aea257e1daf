/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.RegistryOptions;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletionException;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.testng.Assert;

/**
 * A store beside what it should be: revisions by name as plain lists, and the open leases. Every
 * step does the same to both, and then all of the store is compared.
 */
final class StoreModel implements AutoCloseable {

    private static final int ROOM = 3;
    private static final long BYTES = 16 << 10;
    private static final int REVISIONS = 4;

    private final SmallAdapters adapters;
    private final TempDirectory directory;
    private final Map<String, Known> names = new TreeMap<>();
    private final List<Leased> leases = new ArrayList<>();
    private final Set<Path> failing = new HashSet<>();
    private NDManager manager;
    private LoraContext context;
    private AdapterRegistry registry;
    private AdapterStore store;

    /** What a name stands for. */
    private static final class Known {

        private List<Integer> revisions = new ArrayList<>();
        private int current;
        private boolean retired;
        private boolean pinned;

        int seed() {
            return revisions.get(current);
        }

        /* As the registry keeps them: what a rollback left goes first, and is dropped first. */
        void revise(int seed) {
            if (!revisions.isEmpty() && seed() == seed) {
                return;
            }
            List<Integer> next = new ArrayList<>();
            if (!revisions.isEmpty()) {
                next.addAll(revisions.subList(current + 1, revisions.size()));
                next.addAll(revisions.subList(0, current + 1));
            }
            next.remove(Integer.valueOf(seed));
            next.add(seed);
            revisions = next.subList(Math.max(0, next.size() - REVISIONS), next.size());
            current = revisions.size() - 1;
        }
    }

    private record Leased(AdapterLease lease, int seed) {}

    StoreModel(SmallAdapters adapters) {
        this.adapters = adapters;
        try {
            directory = new TempDirectory();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        open();
    }

    private void open() {
        manager = NDManager.newBaseManager("PyTorch");
        context = SmallAdapters.context(manager);
        registry =
                AdapterRegistry.open(
                        directory.path().resolve("registry"),
                        RegistryOptions.builder().optMaxRevisions(REVISIONS).build());
        StoreOptions options =
                StoreOptions.development()
                        .optDevice(TierOptions.of(ROOM, BYTES))
                        .optHost(TierOptions.of(2, BYTES))
                        .optCompression(Compression.ZSTD)
                        .optRetryAfter(Duration.ofNanos(1))
                        .optLongestRetry(Duration.ofNanos(1))
                        .build();
        store = new AdapterStore(context, options, registry, new Disk(), System::nanoTime);
    }

    /** Reads as it should, but for the folders that fail at present. */
    private final class Disk implements AdapterReader {

        @Override
        public LoraAdapter read(Path source, LoraContext model, LoadingPolicy policy) {
            check(source);
            return AdapterLoader.load(source, model.getLayout(), policy);
        }

        @Override
        public PackedAdapter read(Path source, DiskImage image) {
            check(source);
            return image.read(source);
        }

        private void check(Path source) {
            if (failing.contains(source)) {
                throw new LoraConfigurationException(source + ": cannot be read: injected");
            }
        }
    }

    private boolean isActive(String name) {
        return names.containsKey(name) && !names.get(name).retired;
    }

    /** Does something that must succeed exactly where the model says so. */
    private static boolean attempt(boolean allowed, Runnable step) {
        try {
            step.run();
        } catch (LoraException e) {
            Assert.assertFalse(allowed, "refused: " + e);
            return false;
        }
        Assert.assertTrue(allowed, "not refused");
        return true;
    }

    void register(String name, int seed) {
        boolean allowed = !isActive(name) && !failing.contains(adapters.folder(seed));
        if (attempt(allowed, () -> store.register(name, adapters.folder(seed)))) {
            Known known = names.computeIfAbsent(name, key -> new Known());
            known.revise(seed);
            known.retired = false;
        }
    }

    void replace(String name, int seed) {
        boolean allowed = isActive(name) && !failing.contains(adapters.folder(seed));
        if (attempt(allowed, () -> store.replace(name, adapters.folder(seed)))) {
            names.get(name).revise(seed);
        }
    }

    void rollback(String name) {
        Known known = names.get(name);
        boolean allowed =
                isActive(name)
                        && known.current > 0
                        && !failing.contains(
                                adapters.folder(known.revisions.get(known.current - 1)));
        if (attempt(allowed, () -> store.rollback(name))) {
            --known.current;
        }
    }

    void unregister(String name) {
        if (attempt(isActive(name), () -> store.unregister(name))) {
            names.remove(name);
        }
    }

    void retire(String name) {
        if (attempt(isActive(name), () -> store.retire(name))) {
            names.get(name).retired = true;
        }
    }

    void pin(String name, boolean pinned) {
        if (attempt(isActive(name), () -> store.setPinned(name, pinned))) {
            names.get(name).pinned = pinned;
        }
    }

    void acquire(String name) {
        AdapterLease lease;
        try {
            // nobody makes room meanwhile; a slow disk is another matter
            Duration patience = mayBeFull() ? Duration.ofMillis(100) : Duration.ofMinutes(1);
            lease = store.acquire(name, patience).join();
        } catch (LoraConfigurationException e) {
            Assert.assertFalse(isActive(name), e.toString());
            return;
        } catch (CompletionException e) {
            Assert.assertTrue(isActive(name));
            boolean unreadable = failing.contains(adapters.folder(names.get(name).seed()));
            boolean noRoom = e.getCause() instanceof LoraOffloadException && mayBeFull();
            Assert.assertTrue(unreadable || noRoom, e.toString());
            return;
        }
        Assert.assertTrue(isActive(name), "a lease of what is not there");
        leases.add(new Leased(lease, names.get(name).seed()));
    }

    /* Who is leased or pinned stays, so that room for one more adapter may be lacking. */
    private boolean mayBeFull() {
        long kept =
                leases.stream().map(leased -> leased.lease.getSlot()).distinct().count()
                        + names.values().stream().filter(known -> known.pinned).count();
        long bytes =
                leases.stream().mapToLong(leased -> SmallAdapters.bytes(leased.seed)).sum()
                        + names.values().stream()
                                .filter(known -> known.pinned)
                                .mapToLong(known -> SmallAdapters.bytes(known.seed()))
                                .sum();
        // what stays may also lie so that no piece between is large enough
        return kept >= ROOM || bytes > BYTES - 3 * SmallAdapters.bytes(15);
    }

    void release(int index) {
        if (!leases.isEmpty()) {
            leases.remove(index % leases.size()).lease.close();
        }
    }

    void offload(String name) {
        Known known = names.get(name);
        boolean readable = known == null || !failing.contains(adapters.folder(known.seed()));
        try {
            store.offload(name);
            Assert.assertTrue(isActive(name));
        } catch (LoraException e) {
            Assert.assertTrue(!isActive(name) || !readable, e.toString());
        }
    }

    void cleanUp() {
        store.cleanupUnused(Duration.ZERO);
        Set<Integer> leased =
                leases.stream().map(each -> each.lease.getSlot()).collect(Collectors.toSet());
        long pinned = names.values().stream().filter(known -> known.pinned).count();
        Assert.assertTrue(store.statistics().device().adapters() <= leased.size() + pinned);
    }

    void compress() {
        store.compressUnused(Duration.ZERO);
    }

    void fail(int seed, boolean fails) {
        if (fails) {
            failing.add(adapters.folder(seed));
        } else {
            failing.remove(adapters.folder(seed));
        }
    }

    void restart() {
        leases.forEach(leased -> leased.lease.close());
        leases.clear();
        closeStore();
        open();
    }

    private void closeStore() {
        store.close();
        registry.close();
        context.close();
        manager.close();
    }

    /** Compares all of the store with the model. */
    void check() {
        Set<String> active = new TreeSet<>();
        Map<String, Integer> seeds = new HashMap<>();
        names.forEach(
                (name, known) -> {
                    if (!known.retired) {
                        active.add(name);
                        seeds.put(name, known.seed());
                    }
                });
        Assert.assertEquals(store.names(), active);
        for (String name : active) {
            AdapterState state = store.state(name);
            Assert.assertEquals(adapters.seedOf(state.revision()), (int) seeds.get(name), name);
            Assert.assertEquals(state.pinned(), names.get(name).pinned, name);
        }
        for (Leased leased : leases) {
            Assert.assertEquals(adapters.seedOf(leased.lease.getRevision()), leased.seed);
            adapters.check(leased.lease, context, manager);
        }
        StoreStatistics statistics = store.statistics();
        Assert.assertTrue(statistics.device().adapters() <= ROOM);
        Assert.assertTrue(statistics.device().mostBytes() <= BYTES);
        Assert.assertTrue(statistics.host().orElseThrow().mostBytes() <= BYTES);
        assertCountsAgree();
    }

    /* A load that nobody waits for any more may just be finding that out, with its room taken. */
    private void assertCountsAgree() {
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        long counted = store.statistics().device().bytes();
        long held = held();
        while (counted != held && System.nanoTime() - end < 0) {
            LockSupport.parkNanos(1_000_000);
            counted = store.statistics().device().bytes();
            held = held();
        }
        Assert.assertEquals(counted, held);
    }

    private long held() {
        return context.hasTable() ? context.getTable().residentBytes() : 0;
    }

    /** Gives everything back, and checks that nothing is left. */
    @Override
    public void close() {
        leases.forEach(leased -> leased.lease.close());
        leases.clear();
        List.copyOf(names.keySet()).stream().filter(this::isActive).forEach(this::unregister);
        assertCountsAgree();
        Assert.assertEquals(held(), 0, "what is left");
        closeStore();
        try {
            directory.close();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
