/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.registry.Quarantine.Refusal;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.testng.Assert;
import org.testng.annotations.Test;

/** When what has failed is refused, and when it may be tried again. */
public class QuarantineTest {

    private static final RuntimeException FIRST = new IllegalStateException("first");
    private static final RuntimeException SECOND = new IllegalStateException("second");

    /** Near the end of the numbers, where a comparison without regard for overflow is wrong. */
    private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5_000_000_000L);

    private Quarantine.Builder builder() {
        return Quarantine.builder()
                .optInitialBackoff(Duration.ofSeconds(1))
                .optMaxBackoff(Duration.ofSeconds(5))
                .optTryTimeout(Duration.ofSeconds(60))
                .optJitter(0)
                .optTicker(nanos::get);
    }

    @Test
    public void oneTryIsAllowedWhenTheBackOffIsOver() {
        Quarantine quarantine = builder().build();
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        Assert.assertEquals(quarantine.enter("a"), Optional.empty(), "nothing is held against it");
        quarantine.failed("a", FIRST);
        Assert.assertEquals(
                quarantine.enter("a"),
                Optional.of(new Refusal(FIRST, 1, Duration.ofSeconds(1), false)));
        Assert.assertEquals(quarantine.enter("b"), Optional.empty());
        pass(999);
        Assert.assertTrue(quarantine.enter("a").isPresent());
        pass(1);
        Assert.assertEquals(quarantine.peek("a"), Optional.empty());
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        Refusal meanwhile = quarantine.enter("a").orElseThrow();
        Assert.assertTrue(meanwhile.trying());
        Assert.assertSame(meanwhile.reason(), FIRST);
        quarantine.failed("a", SECOND);
        Assert.assertEquals(
                quarantine.enter("a"),
                Optional.of(new Refusal(SECOND, 2, Duration.ofSeconds(2), false)));
        pass(2000);
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        quarantine.succeeded("a");
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        Assert.assertTrue(quarantine.snapshot().isEmpty());
        Assert.assertEquals(quarantine.failed("a", FIRST).failures(), 1, "counted anew");
    }

    @Test
    public void backOffDoublesUpToItsCap() {
        Quarantine quarantine = builder().build();
        long[] seconds = {1, 2, 4, 5, 5};
        for (long expected : seconds) {
            Assert.assertEquals(
                    quarantine.failed("a", FIRST).retryAfter(), Duration.ofSeconds(expected));
        }
        for (int i = 0; i < 2_000; ++i) {
            quarantine.failed("a", FIRST);
        }
        Assert.assertEquals(quarantine.failed("a", FIRST).retryAfter(), Duration.ofSeconds(5));
    }

    @Test
    public void chanceShortensABackOff() {
        double[] chance = {0};
        Quarantine quarantine = builder().optJitter(0.2).optRandom(() -> chance[0]).build();
        Assert.assertEquals(quarantine.failed("a", FIRST).retryAfter(), Duration.ofSeconds(1));
        chance[0] = 0.5;
        Assert.assertEquals(quarantine.failed("b", FIRST).retryAfter(), Duration.ofMillis(900));
        Quarantine system = builder().optJitter(0.5).build();
        for (int i = 0; i < 100; ++i) {
            long millis = system.failed("key" + i, FIRST).retryAfter().toMillis();
            Assert.assertTrue(millis >= 500 && millis <= 1000, millis + " ms");
        }
        Assert.assertTrue(
                system.snapshot().values().stream().map(Refusal::retryAfter).distinct().count()
                        > 50);
    }

    @Test
    public void tryWithoutAResultGivesItsTurnBack() {
        Quarantine quarantine = builder().build();
        quarantine.failed("a", FIRST);
        quarantine.abandoned("a");
        Assert.assertTrue(quarantine.enter("a").isPresent(), "nobody was trying");
        pass(1000);
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        quarantine.abandoned("a");
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        // and one that is never heard of again is taken for lost
        pass(59_999);
        Assert.assertTrue(quarantine.enter("a").isPresent());
        pass(1);
        Assert.assertEquals(quarantine.enter("a"), Optional.empty());
        Assert.assertTrue(quarantine.enter("a").isPresent());
    }

    @Test
    public void whatComesUpFirstMakesRoom() {
        Quarantine quarantine = builder().optCapacity(2).build();
        quarantine.failed("a", FIRST);
        quarantine.failed("a", FIRST);
        quarantine.failed("b", FIRST);
        quarantine.failed("c", FIRST);
        Assert.assertEquals(quarantine.snapshot().keySet(), Set.of("a", "c"));
    }

    @Test
    public void oneOfManyAskersTries() throws InterruptedException {
        Quarantine quarantine = builder().build();
        for (int round = 0; round < 200; ++round) {
            quarantine.failed("a", FIRST);
            pass(5_000);
            AtomicInteger allowed = new AtomicInteger();
            CountDownLatch start = new CountDownLatch(1);
            Thread[] threads = new Thread[4];
            for (int t = 0; t < threads.length; ++t) {
                threads[t] =
                        new Thread(
                                () -> {
                                    await(start);
                                    if (quarantine.enter("a").isEmpty()) {
                                        allowed.incrementAndGet();
                                    }
                                });
                threads[t].start();
            }
            start.countDown();
            for (Thread thread : threads) {
                thread.join();
            }
            Assert.assertEquals(allowed.get(), 1);
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    public void settingsAreChecked() {
        AdapterRegistryTest.assertRefused(
                () -> Quarantine.builder().optJitter(1.5), "jitter is 1.5; allowed are 0 to 1");
        AdapterRegistryTest.assertRefused(
                () -> Quarantine.builder().optCapacity(0),
                "capacity is 0; allowed are 1 to 1000000");
        AdapterRegistryTest.assertRefused(
                () -> Quarantine.builder().optInitialBackoff(Duration.ZERO),
                "initialBackoff is PT0S; allowed is more than PT0S and at most PT24000H");
        LoraConfigurationException refusal =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> builder().optMaxBackoff(Duration.ofMillis(1)).build());
        Assert.assertEquals(
                refusal.getMessage(),
                "maxBackoff is PT0.001S; it must be at least initialBackoff, PT1S");
    }

    private void pass(long millis) {
        nanos.addAndGet(millis * 1_000_000);
    }
}
