/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Many threads, many adapters, room for a tenth of them, and a disk that fails: nobody ever
 * computes with another adapter's weights, and no limit is passed.
 */
public class StoreStressTest {

    private static final int THREADS = 64;
    private static final int ADAPTERS = Integer.getInteger("djl.lora.stress.adapters", 300);
    private static final long ACQUIRES = Long.getLong("djl.lora.stress.acquires", 100_000);

    private final AtomicLong acquired = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private volatile boolean trouble;

    @Test
    public void nobodyGetsAnothersWeights() throws Exception {
        try (TempDirectory temp = new TempDirectory();
                NDManager manager = NDManager.newBaseManager("PyTorch");
                LoraContext context = SmallAdapters.context(manager, flakyBackend())) {
            SmallAdapters adapters = new SmallAdapters(temp.path(), ADAPTERS);
            // an adapter of rank r takes r * 2 * 64 * 4 bytes: 4.5 kB on average
            long room = ADAPTERS / 10 * 4608L;
            StoreOptions options =
                    StoreOptions.builder()
                            .optDevice(TierOptions.of(ADAPTERS / 5, room))
                            .optHost(TierOptions.of(ADAPTERS / 4, 2 * room))
                            .optMoveQueue(1000)
                            .optRetryAfter(Duration.ofMillis(1))
                            .optLongestRetry(Duration.ofMillis(4))
                            .optPrefetchInterval(Duration.ofMillis(20))
                            .optCompressAfter(Duration.ofMillis(200))
                            .optMonitoringEnabled(false)
                            .build();
            AdapterReader reader = new BadDisk();
            try (AdapterStore store =
                    new AdapterStore(context, options, null, reader, System::nanoTime)) {
                for (int i = 0; i < ADAPTERS; ++i) {
                    store.register("a" + i, adapters.folder(i));
                }
                trouble = true;
                ExecutorService threads = Executors.newFixedThreadPool(THREADS);
                List<Future<?>> work = new ArrayList<>();
                for (int t = 0; t < THREADS; ++t) {
                    int number = t;
                    work.add(threads.submit(() -> use(store, context, adapters, number)));
                }
                for (Future<?> each : work) {
                    each.get(10, TimeUnit.MINUTES);
                }
                threads.shutdown();
                trouble = false;
                TierStatistics device = store.statistics().device();
                Assert.assertTrue(device.mostBytes() <= room, device.toString());
                Assert.assertTrue(store.statistics().host().orElseThrow().mostBytes() <= 2 * room);
                Assert.assertTrue(
                        device.evictions().get(EvictionCause.ROOM) > 0 && device.hits() > 0,
                        device.toString());
                assertCountsAgree(store, context);
                Assert.assertTrue(failed.get() > 0, "no load failed: nothing was tried");
                for (String name : store.names()) {
                    Assert.assertEquals(store.state(name).leases(), 0, name);
                }
            }
            Assert.assertEquals(context.getTable().residentBytes(), 0, "what is left");
        }
    }

    /** One put in a hundred finds no memory, and half of those a machine that has none left. */
    private LoraBackend flakyBackend() {
        return FlakyBackend.of(
                LoraBackends.choose(null),
                () -> trouble ? ThreadLocalRandom.current().nextInt(200) : 200);
    }

    /* What is foreseen may still come in from the background. */
    private static void assertCountsAgree(AdapterStore store, LoraContext context) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        long counted = store.statistics().device().bytes();
        long held = context.getTable().residentBytes();
        while (counted != held && System.nanoTime() - deadline < 0) {
            LockSupport.parkNanos(1_000_000);
            counted = store.statistics().device().bytes();
            held = context.getTable().residentBytes();
        }
        Assert.assertEquals(counted, held);
    }

    private void use(AdapterStore store, LoraContext context, SmallAdapters adapters, int number) {
        SplittableRandom random = new SplittableRandom(number);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            while (acquired.get() < ACQUIRES) {
                String name = "a" + skewed(random);
                int what = random.nextInt(1000);
                try {
                    if (what < 2) {
                        store.replace(name, adapters.folder(random.nextInt(ADAPTERS)));
                    } else if (what < 4) {
                        // only a few, or there is no room at all
                        store.setPinned("a" + random.nextInt(5), random.nextBoolean());
                    } else if (what < 5) {
                        store.unregister(name);
                        store.register(name, adapters.folder(random.nextInt(ADAPTERS)));
                    } else if (what < 8) {
                        store.offload(name);
                    } else {
                        try (AdapterLease lease = store.acquire(name)) {
                            adapters.check(lease, context, manager);
                        }
                        acquired.incrementAndGet();
                    }
                } catch (LoraConfigurationException e) {
                    // another thread has taken the name away, or the disk failed
                    failed.incrementAndGet();
                } catch (LoraException e) {
                    failed.incrementAndGet();
                }
            }
        }
    }

    private static int skewed(SplittableRandom random) {
        double u = random.nextDouble();
        return (int) (u * u * u * ADAPTERS);
    }

    /** Reads as it should, but for some failures. */
    private final class BadDisk implements AdapterReader {

        private final SplittableRandom random = new SplittableRandom(5);

        @Override
        public LoraAdapter read(Path source, LoraContext context, LoadingPolicy policy) {
            if (failsToday(source)) {
                return onTruncated(source, copy -> AdapterLoader.load(copy, context.getLayout()));
            }
            return AdapterLoader.load(source, context.getLayout());
        }

        @Override
        public PackedAdapter read(Path source, DiskImage image) {
            return failsToday(source) ? onTruncated(source, image::read) : image.read(source);
        }

        /** Throws, waits, or returns whether the file is to be cut short. */
        private boolean failsToday(Path source) {
            int what;
            synchronized (random) {
                what = trouble ? random.nextInt(100) : 99;
            }
            if (what < 3) {
                throw new LoraConfigurationException(source + ": cannot be read: injected");
            }
            if (what < 4) {
                throw new OutOfMemoryError("injected");
            }
            if (what >= 6 && what < 10) {
                LockSupport.parkNanos(2_000_000);
            }
            return what < 6;
        }
    }

    private static <T> T onTruncated(Path source, Function<Path, T> read) {
        try (TempDirectory temp = new TempDirectory()) {
            Path weights = source.resolve("adapter_model.safetensors");
            byte[] whole = Files.readAllBytes(weights);
            Files.write(
                    temp.path().resolve("adapter_model.safetensors"),
                    Arrays.copyOf(whole, whole.length - 5));
            Files.copy(
                    source.resolve(PeftConfig.FILE_NAME),
                    temp.path().resolve(PeftConfig.FILE_NAME));
            return read.apply(temp.path());
        } catch (IOException e) {
            throw new LoraConfigurationException(e.toString(), e);
        }
    }
}
