/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.testng.Assert;
import org.testng.annotations.Test;

/** What is counted of an adapter's use. */
public class AccessStatisticsTest {

    private static final long HALF_LIFE = 64_000;

    private final AtomicLong millis = new AtomicLong();
    private final InstantSource clock = () -> Instant.ofEpochMilli(millis.get());

    @Test
    public void accessesDecayByHalf() {
        AdapterAccess access = new AdapterAccess(clock, HALF_LIFE);
        Assert.assertEquals(access.lastUsed(), Optional.empty());
        Assert.assertEquals(access.frequency(), 0.0);
        for (int i = 0; i < 8; ++i) {
            access.hit();
        }
        Assert.assertEquals(access.frequency(), 8.0);
        Instant used = clock.instant();
        millis.addAndGet(HALF_LIFE);
        // exact up to rounding: all came at one time, and that is known
        Assert.assertEquals(access.frequency(), 4.0, 1e-12);
        access.miss();
        Assert.assertEquals(access.frequency(), 5.0, 1e-12);
        millis.addAndGet(2 * HALF_LIFE);
        Assert.assertEquals(access.frequency(), 1.25, 1e-12);
        Assert.assertEquals(access.hits(), 8);
        Assert.assertEquals(access.misses(), 1);
        Assert.assertEquals(access.lastUsed(), Optional.of(used.plusMillis(HALF_LIFE)));
    }

    @Test
    public void frequencyIsCloseToTheExactSum() {
        AdapterAccess access = new AdapterAccess(clock, HALF_LIFE);
        SplittableRandom random = new SplittableRandom(1);
        double exact = 0;
        for (int i = 0; i < 20_000; ++i) {
            long step = random.nextInt(4) == 0 ? random.nextInt(2_000) : random.nextInt(20);
            millis.addAndGet(step);
            exact = exact * Math.pow(0.5, (double) step / HALF_LIFE) + 1;
            access.hit();
            // within a 64th of a half-life nothing decays: 1 - 2^(-1/64) = 1.08 %
            Assert.assertEquals(access.frequency(), exact, 0.0109 * exact);
        }
    }

    @Test
    public void clockThatStepsBackLosesNothing() {
        millis.set(1_000_000);
        AdapterAccess access = new AdapterAccess(clock, HALF_LIFE);
        access.hit();
        millis.set(10);
        access.hit();
        Assert.assertEquals(access.frequency(), 2.0);
        Assert.assertEquals(access.lastUsed(), Optional.of(Instant.ofEpochMilli(1_000_000)));
    }

    @Test
    public void noAccessOfManyThreadsIsLost() throws InterruptedException {
        AdapterAccess access = new AdapterAccess(clock, HALF_LIFE);
        Thread[] threads = new Thread[4];
        for (int t = 0; t < threads.length; ++t) {
            threads[t] =
                    new Thread(
                            () -> {
                                for (int i = 0; i < 100_000; ++i) {
                                    access.hit();
                                    if (i % 100 == 0) {
                                        millis.incrementAndGet();
                                    }
                                }
                            });
            threads[t].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Assert.assertEquals(access.hits(), 400_000);
        // 4 s have passed at most, of a half-life of 64 s: 2^(-4/64) = 0.958
        double frequency = access.frequency();
        Assert.assertTrue(frequency <= 400_000 && frequency >= 0.95 * 400_000, "" + frequency);
    }

    @Test
    public void hottestComeFirstAlsoAfterARestart() throws IOException {
        RegistryOptions options =
                Registries.options()
                        .optClock(clock)
                        .optHalfLife(Duration.ofMillis(HALF_LIFE))
                        .build();
        try (TempDirectory temp = TempDirectory.inMemory()) {
            try (AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
                for (String name : List.of("once", "long-ago", "often", "never", "retired")) {
                    registry.register(Registries.registration(name, 1).build());
                }
                hit(registry, "long-ago", 20);
                millis.addAndGet(4 * HALF_LIFE);
                hit(registry, "often", 5);
                hit(registry, "once", 1);
                hit(registry, "retired", 9);
                registry.retire("retired");
                Assert.assertEquals(hottest(registry, 9), List.of("often", "long-ago", "once"));
                Assert.assertEquals(hottest(registry, 2), List.of("often", "long-ago"));
            }
            millis.addAndGet(HALF_LIFE);
            try (AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
                Assert.assertEquals(hottest(registry, 9), List.of("often", "long-ago", "once"));
                AdapterAccess often = registry.statistics().of("often").orElseThrow();
                // 5 accesses, one half-life ago, the time without a process included
                Assert.assertEquals(often.frequency(), 2.5, 1e-12);
                hit(registry, "once", 3);
                Assert.assertEquals(hottest(registry, 1), List.of("once"));
            }
        }
    }

    @Test
    public void damagedStatisticsAreRefusedWithAWayOut() throws IOException {
        try (TempDirectory temp = TempDirectory.inMemory()) {
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                registry.register(Registries.registration("a", 1).build());
                hit(registry, "a", 3);
            }
            Path file = temp.path().resolve("statistics.log");
            byte[] bytes = Files.readAllBytes(file);
            for (int length = 0; length < bytes.length; ++length) {
                Files.write(file, Arrays.copyOf(bytes, length));
                LoraConfigurationException refusal =
                        Assert.expectThrows(
                                LoraConfigurationException.class,
                                () -> Registries.open(temp.path()).close());
                Assert.assertTrue(
                        refusal.getMessage()
                                .endsWith("; delete the file to go on without access statistics"),
                        refusal.getMessage());
            }
            Files.delete(file);
            try (AdapterRegistry registry = Registries.open(temp.path())) {
                Assert.assertEquals(registry.statistics().of("a").orElseThrow().hits(), 0);
            }
        }
    }

    @Test
    public void statisticsAreWrittenOnATimer() throws IOException, InterruptedException {
        RegistryOptions options =
                RegistryOptions.builder().optStatisticsInterval(Duration.ofSeconds(1)).build();
        try (TempDirectory temp = TempDirectory.inMemory();
                AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
            registry.register(Registries.registration("a", 1).build());
            Path file = temp.path().resolve("statistics.log");
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (Files.notExists(file)) {
                Assert.assertTrue(System.nanoTime() < end, "nothing was written in 30 s");
                Thread.sleep(20);
            }
        }
    }

    private static void hit(AdapterRegistry registry, String name, int count) {
        for (int i = 0; i < count; ++i) {
            registry.statistics().of(name).orElseThrow().hit();
        }
    }

    private static List<String> hottest(AdapterRegistry registry, int count) {
        return registry.hottest(count).stream().map(RegisteredAdapter::name).toList();
    }
}
