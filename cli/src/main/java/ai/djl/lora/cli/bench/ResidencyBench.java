/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.Registration;
import ai.djl.lora.registry.RegistryOptions;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Measures what it takes to lease adapters, to load them and to keep them on record. */
final class ResidencyBench implements AutoCloseable {

    private static final int BATCH = 1000;
    private static final long HEX_DIGITS = 64;

    private final SyntheticAdapters adapters;
    private final boolean quick;
    private final Path directory;
    private final List<Path> folders = new ArrayList<>();

    /**
     * Constructs a new {@code ResidencyBench} instance.
     *
     * @param quick whether few and small adapters are enough
     * @throws IOException if adapters cannot be written to the directory of temporary files
     */
    ResidencyBench(boolean quick) throws IOException {
        this.quick = quick;
        adapters = new SyntheticAdapters(quick);
        directory = Files.createTempDirectory("djl-lora-bench");
        int count = quick ? 4 : 12;
        for (int i = 0; i < count; ++i) {
            folders.add(adapters.write(directory.resolve("adapter" + i), i));
        }
    }

    /** Runs everything but the traces. */
    Map<String, Object> run() throws IOException, InterruptedException {
        Map<String, Object> results = new LinkedHashMap<>();
        leases(results);
        loads(results);
        PoolBench.Result pool = PoolBench.run(quick ? 10_000 : 100_000);
        results.put("fragmentation", pool.fragmentation());
        results.put("allocation_us_p50", pool.allocationMicros());
        results.put("bookkeeping_mb", bookkeeping());
        new ResidentCostBench(quick).run(directory, results);
        return results;
    }

    private static StoreOptions.Builder options(int room) {
        return StoreOptions.development()
                .optDevice(TierOptions.of(room, 2L << 30))
                .optHostEnabled(false);
    }

    private AdapterStore store(LoraContext context, StoreOptions options) {
        AdapterStore store = new AdapterStore(context, options);
        for (int i = 0; i < folders.size(); ++i) {
            store.register("a" + i, folders.get(i));
        }
        return store;
    }

    private void leases(Map<String, Object> results) throws InterruptedException {
        int batches = quick ? 200 : 2000;
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = adapters.context(manager)) {
            AdapterStore store = store(context, options(folders.size()).build());
            leaseNanos(store, batches, 0, 1);
            double alone = leaseNanos(store, batches, 0, 1);
            results.put("acquire_release_ns_p50", alone);
            int cores = Runtime.getRuntime().availableProcessors();
            double[] together = new double[cores];
            CountDownLatch start = new CountDownLatch(cores);
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < cores; ++i) {
                int number = i;
                Thread thread =
                        new Thread(
                                () -> {
                                    start.countDown();
                                    await(start);
                                    together[number] = leaseNanos(store, batches, number, cores);
                                });
                threads.add(thread);
                thread.start();
            }
            for (Thread thread : threads) {
                thread.join();
            }
            results.put("acquire_release_scaling", alone * cores / Arrays.stream(together).sum());
        }
    }

    private static void await(CountDownLatch start) {
        try {
            start.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Returns the median over batches of the mean time of an acquisition with its release. */
    private double leaseNanos(AdapterStore store, int batches, int thread, int threads) {
        // each thread has adapters of its own, as many requests for many adapters mostly have
        String[] all = store.names().toArray(String[]::new);
        String[] names =
                IntStream.range(0, all.length)
                        .filter(i -> i % threads == thread)
                        .mapToObj(i -> all[i])
                        .toArray(String[]::new);
        double[] nanos = new double[batches];
        for (int batch = 0; batch < batches; ++batch) {
            long start = System.nanoTime();
            for (int i = 0; i < BATCH; ++i) {
                store.acquire(names[i % names.length]).close();
            }
            nanos[batch] = (double) (System.nanoTime() - start) / BATCH;
        }
        return median(nanos);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    /* In each round an adapter is loaded, its file copied, and its file read. */
    private void loads(Map<String, Object> results) throws IOException {
        int rounds = quick ? 12 : 60;
        double[] load = new double[rounds];
        double[] copyOverLoad = new double[rounds];
        double[] readOverLoad = new double[rounds];
        Path copy = directory.resolve("copy");
        long bytes = Files.size(weights(0));
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = adapters.context(manager)) {
            AdapterStore store = store(context, options(2).build());
            for (int round = -folders.size(); round < rounds; ++round) {
                int which = (round + folders.size()) % folders.size();
                String name = "a" + which;
                store.offload(name);
                long start = System.nanoTime();
                store.acquire(name).close();
                double loaded = System.nanoTime() - start;
                start = System.nanoTime();
                Files.copy(weights(which), copy, StandardCopyOption.REPLACE_EXISTING);
                double copied = System.nanoTime() - start;
                start = System.nanoTime();
                long read = Files.readAllBytes(weights(which)).length;
                double taken = System.nanoTime() - start;
                if (round >= 0) {
                    load[round] = loaded / 1e6;
                    copyOverLoad[round] = copied / loaded;
                    readOverLoad[round] = taken / loaded * read / bytes;
                }
            }
        }
        results.put("adapter_mb", bytes / 1e6);
        results.put("cold_load_ms_p50", median(load));
        results.put("load_over_copy_bandwidth", median(copyOverLoad));
        results.put("load_over_read_bandwidth", median(readOverLoad));
    }

    private Path weights(int which) {
        return folders.get(which).resolve("adapter_model.safetensors");
    }

    /** Returns what 10,000 adapters on record take of the heap, in megabytes. */
    private double bookkeeping() {
        int count = quick ? 1000 : 10_000;
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = adapters.context(manager)) {
            long before = usedHeap();
            AdapterRegistry registry = AdapterRegistry.inMemory(RegistryOptions.builder().build());
            AdapterStore store = new AdapterStore(context, options(2).build(), registry);
            store.register("first", folders.get(0));
            byte[] checksums = registry.get("first").current().checksums();
            long bytes = registry.get("first").current().bytes();
            List<Registration> registrations = new ArrayList<>();
            for (int i = 0; i < count; ++i) {
                registrations.add(
                        Registration.builder()
                                .setName("customer-" + i)
                                .setHash(String.format("%0" + HEX_DIGITS + "x", i))
                                .setSource(directory.resolve("customer-" + i))
                                .setBytes(bytes)
                                .optValidated(checksums)
                                .build());
            }
            registry.putAll(registrations);
            registrations.clear();
            store.close();
            try (AdapterStore reopened = new AdapterStore(context, options(2).build(), registry)) {
                double used = (usedHeap() - before) / 1e6;
                if (reopened.names().size() != count + 1) {
                    throw new IllegalStateException("Not all adapters are there");
                }
                return used * 10_000 / count;
            } finally {
                registry.close();
            }
        }
    }

    private static long usedHeap() {
        MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 3; ++i) {
            memory.gc();
            least = Math.min(least, memory.getHeapMemoryUsage().getUsed());
        }
        return least;
    }

    /** Deletes what was written. */
    @Override
    public void close() throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
