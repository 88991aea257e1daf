/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.cli.bench.SyntheticAdapters;
import ai.djl.lora.op.LoraContext;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Leases adapters that are on the device, and gives them back. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class LeaseBenchmark {

    private static final int ADAPTERS = 16;

    /** A store whose adapters are all on the device. */
    @State(Scope.Benchmark)
    public static class Store {

        private final AtomicInteger threads = new AtomicInteger();
        private Path directory;
        private NDManager manager;
        private LoraContext context;
        private AdapterStore store;

        /**
         * Writes adapters and registers them.
         *
         * @throws IOException if they cannot be written
         */
        @Setup(Level.Trial)
        public void open() throws IOException {
            directory = Files.createTempDirectory("djl-lora-leases");
            SyntheticAdapters adapters = new SyntheticAdapters(true);
            manager = NDManager.newBaseManager("PyTorch");
            context = adapters.context(manager);
            StoreOptions options =
                    StoreOptions.production()
                            .optDevice(TierOptions.of(ADAPTERS, 1L << 30))
                            .optHost(TierOptions.of(ADAPTERS, 1L << 30))
                            .build();
            store = new AdapterStore(context, options);
            for (int i = 0; i < ADAPTERS; ++i) {
                store.register("a" + i, adapters.write(directory.resolve("a" + i), i));
            }
        }

        /**
         * Deletes what was written.
         *
         * @throws IOException if it cannot be deleted
         */
        @TearDown(Level.Trial)
        public void close() throws IOException {
            context.close();
            manager.close();
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    /** What a thread asks for next. */
    @State(Scope.Thread)
    public static class Caller {

        private String[] names;
        private int next;

        /**
         * Gives every second adapter to every second thread.
         *
         * @param store the store
         */
        @Setup(Level.Trial)
        public void choose(Store store) {
            int parity = store.threads.getAndIncrement() % 2;
            names = new String[ADAPTERS / 2];
            for (int i = 0; i < names.length; ++i) {
                names[i] = "a" + (2 * i + parity);
            }
        }

        String next() {
            next = (next + 1) % names.length;
            return names[next];
        }
    }

    /**
     * Leases one adapter after the other, on two threads different ones.
     *
     * @param store the store
     * @param caller what to ask for
     * @return the slot
     */
    @Benchmark
    public int ownAdapters(Store store, Caller caller) {
        try (AdapterLease lease = store.store.acquire(caller.next())) {
            return lease.getSlot();
        }
    }

    /**
     * Leases one adapter again and again, on all threads the same.
     *
     * @param store the store
     * @return the slot
     */
    @Benchmark
    public int oneAdapter(Store store) {
        try (AdapterLease lease = store.store.acquire("a0")) {
            return lease.getSlot();
        }
    }
}
