/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertNotNull;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The monitor over a memory whose use the tests set. */
public class MemoryMonitorTest {

    private static final long LIMIT = 1000;

    private final List<String> events = new ArrayList<>();
    private ScheduledExecutorService scheduler;
    private volatile long used;
    private volatile Instant now;
    private MemoryMonitor monitor;

    @BeforeMethod
    public void begin() {
        events.clear();
        used = 100;
        now = Instant.EPOCH;
        scheduler = Executors.newSingleThreadScheduledExecutor();
        monitor = monitor(MemoryOptions.builder().optHistorySamples(3).build());
    }

    @AfterMethod
    public void end() throws InterruptedException {
        monitor.close();
        assertTrue(scheduler.awaitTermination(1, TimeUnit.MINUTES), "the monitor's thread ends");
    }

    private MemoryMonitor monitor(MemoryOptions options) {
        return new MemoryMonitor(options, this::read, () -> now, scheduler);
    }

    private MemoryReading read() throws IOException {
        if (used < 0) {
            throw new IOException("the file is gone");
        }
        return new MemoryReading(used, 7, LIMIT, "test");
    }

    private void use(long... uses) {
        for (long use : uses) {
            used = use;
            monitor.sample();
        }
    }

    @Test
    public void pressureRisesAtOnceAndFallsLevelByLevel() {
        monitor.onPressure(
                event -> events.add(event.level() + " at " + event.sample().memory().used()));
        use(699, 700, 799, 700, 601, 699, 599, 600, 699);
        assertEquals(events, List.of("SOFT at 700", "NONE at 599"));
        events.clear();
        use(950, 800, 899, 799, 899, 700, 900, 699, 600, 700, 599);
        assertEquals(
                events,
                List.of(
                        "CRITICAL at 950",
                        "HARD at 799",
                        "CRITICAL at 900",
                        "SOFT at 699",
                        "NONE at 599"));
        events.clear();
        use(800, 100);
        assertEquals(events, List.of("HARD at 800", "NONE at 100"));
        assertEquals(monitor.pressure(), PressureLevel.NONE);
    }

    @Test
    public void anEventNamesTheLevelBefore() {
        List<PressureEvent> told = new ArrayList<>();
        Registration registration = monitor.onPressure(told::add);
        use(950);
        assertEquals(told.get(0).previous(), PressureLevel.NONE);
        assertEquals(told.get(0).level(), PressureLevel.CRITICAL);
        assertEquals(monitor.pressure(), PressureLevel.CRITICAL);
        registration.close();
        registration.close();
        use(100);
        assertEquals(told.size(), 1);
    }

    @Test
    public void alertsAreToldOfOnceForEachCrossing() {
        monitor.onAlert(
                alert ->
                        events.add(
                                alert.level()
                                        + (alert.raised() ? " raised at " : " cleared at ")
                                        + alert.sample().memory().used()));
        use(749, 750, 800, 749, 700, 750, 699, 749, 750);
        assertEquals(
                events,
                List.of(
                        "WARNING raised at 750",
                        "WARNING cleared at 699",
                        "WARNING raised at 750"));
        events.clear();
        use(920, 899, 850, 900, 849, 920, 10);
        assertEquals(
                events,
                List.of(
                        "CRITICAL raised at 920",
                        "CRITICAL cleared at 849",
                        "CRITICAL raised at 920",
                        "WARNING cleared at 10",
                        "CRITICAL cleared at 10"));
    }

    @Test
    public void aListenerThatFailsDoesNotKeepOthersFromHearing() {
        monitor.onPressure(
                event -> {
                    throw new IllegalStateException("on purpose");
                });
        monitor.onPressure(event -> events.add(event.level().toString()));
        use(750, 850);
        assertEquals(events, List.of("SOFT", "HARD"));
    }

    @Test
    public void aSampleSaysWhoTakesWhat() {
        Registration cache = monitor.addConsumer(MemoryMonitor.KV_CACHE, () -> 30);
        monitor.addConsumer(MemoryMonitor.MODEL_WEIGHTS, () -> 50);
        monitor.addConsumer("negative", () -> -1);
        monitor.addConsumer(
                "failing",
                () -> {
                    throw new IllegalStateException("on purpose");
                });
        now = Instant.ofEpochSecond(5);
        MemorySample sample = monitor.sample();
        assertEquals(sample.consumers(), Map.of("KV cache", 30L, "model weights", 50L));
        assertEquals(sample.time(), now);
        assertEquals(sample.memory(), new MemoryReading(100, 7, LIMIT, "test"));
        assertTrue(sample.heap() > 0);
        assertThrows(
                IllegalArgumentException.class,
                () -> monitor.addConsumer(MemoryMonitor.KV_CACHE, () -> 31));
        cache.close();
        monitor.addConsumer(MemoryMonitor.KV_CACHE, () -> 31);
        // ends its own registration, and not the one of the same name after it
        cache.close();
        assertEquals(monitor.sample().consumers().get("KV cache"), (Long) 31L);
    }

    @Test
    public void theHistoryKeepsTheLatestSamplesAndTheBaselineTheFirst() {
        assertTrue(monitor.latest().isEmpty());
        assertTrue(monitor.baseline().isEmpty());
        use(101, 102, 103, 104, 105);
        assertEquals(
                monitor.history().stream().map(sample -> sample.memory().used()).toList(),
                List.of(103L, 104L, 105L));
        assertEquals(monitor.latest().orElseThrow().memory().used(), 105);
        assertEquals(monitor.baseline().orElseThrow().memory().used(), 101);
        used = 106;
        monitor.markBaseline();
        use(107);
        assertEquals(monitor.baseline().orElseThrow().memory().used(), 106);
    }

    @Test
    public void anEstimateKeepsRoomForTheNextStep() {
        used = 400;
        assertTrue(monitor.estimate(500).fits());
        assertFalse(monitor.estimate(501).fits());
        for (int i = 1; i <= 100; ++i) {
            monitor.reportStep(i);
        }
        // 1.5 times the 95th of a hundred steps of 1 to 100 bytes, rounded up
        assertEquals(monitor.activationReserve(), 143);
        assertEquals(monitor.sample().activationReserve(), 143);
        MemoryEstimate estimate = monitor.estimate(357);
        assertEquals(estimate, new MemoryEstimate(357, 400, 143, 900));
        assertTrue(estimate.fits());
        assertFalse(monitor.estimate(358).fits());
        // what a step in progress takes is part of the use already
        monitor.addConsumer(MemoryMonitor.ACTIVATIONS, () -> 43);
        assertEquals(monitor.estimate(0).available(), 400);
        used = 980;
        assertEquals(monitor.estimate(0).available(), -180);
        assertFalse(monitor.estimate(0).fits());
    }

    @Test
    public void stepsLongAgoDoNotCount() {
        try (MemoryMonitor small =
                monitor(MemoryOptions.builder().optActivations(4, 0.5, 2).build())) {
            assertEquals(small.activationReserve(), 0);
            small.reportStep(1_000_000);
            assertEquals(small.activationReserve(), 2_000_000);
            for (long bytes : new long[] {40, 10, 30, 20}) {
                small.reportStep(bytes);
            }
            assertEquals(small.activationReserve(), 40);
            assertThrows(IllegalArgumentException.class, () -> small.reportStep(-1));
        }
    }

    @Test(timeOut = 60_000)
    public void samplesAreTakenOnTimeUntilTheMonitorIsClosed() throws InterruptedException {
        BlockingQueue<PressureLevel> levels = new LinkedBlockingQueue<>();
        try (MemoryMonitor timed =
                monitor(
                        MemoryOptions.builder()
                                .optSampleInterval(Duration.ofMillis(2))
                                .optHistorySamples(5)
                                .build())) {
            timed.onPressure(event -> levels.add(event.level()));
            used = 750;
            timed.start();
            assertThrows(IllegalStateException.class, timed::start);
            assertEquals(levels.take(), PressureLevel.SOFT);
            // a failure does not end the samples
            used = -1;
            Thread.sleep(20);
            used = 950;
            assertEquals(levels.take(), PressureLevel.CRITICAL);
        }
        used = 100;
        assertTrue(scheduler.awaitTermination(1, TimeUnit.MINUTES));
        assertTrue(levels.isEmpty());
    }

    @Test
    public void aMemoryThatCannotBeReadIsAFailureOfTheCaller() {
        used = -1;
        LoraMemoryException e = expectThrows(LoraMemoryException.class, monitor::sample);
        assertEquals(e.getMessage(), "The memory in use cannot be read: the file is gone");
        assertThrows(LoraMemoryException.class, () -> monitor.estimate(1));
        assertThrows(IllegalArgumentException.class, () -> monitor.estimate(-1));
        monitor.close();
        assertThrows(IllegalStateException.class, monitor::sample);
        assertThrows(IllegalStateException.class, monitor::start);
    }

    @Test
    public void theHostCanBeWatched() throws IOException {
        try (MemoryMonitor host = new MemoryMonitor(MemoryOptions.defaults(), HostMemory.open())) {
            host.start();
            assertNotNull(host.sample());
            assertEquals(host.baseline().isPresent(), true);
        }
    }

    @DataProvider
    public Object[][] wrongOptions() {
        return new Object[][] {
            {
                MemoryOptions.builder().optPressure(0.7, 0.7, 0.8, 0.9),
                "restorePressure is 0.7; it must be above 0 and below softPressure, 0.7"
            },
            {
                MemoryOptions.builder().optPressure(0.6, 0.85, 0.8, 0.9),
                "softPressure is 0.85; it must be above 0 and below hardPressure, 0.8"
            },
            {
                MemoryOptions.builder().optPressure(0.6, 0.7, 0.9, 0.9),
                "hardPressure is 0.9; it must be above 0 and below criticalPressure, 0.9"
            },
            {
                MemoryOptions.builder().optPressure(0.6, 0.7, 0.8, 90),
                "criticalPressure is 90.0; it must be above 0.0 and at most 1.0"
            },
            {
                MemoryOptions.builder().optPressure(0.6, Double.NaN, 0.8, 0.9),
                "softPressure is NaN; it must be above 0 and below hardPressure, 0.8"
            },
            {
                MemoryOptions.builder().optAlerts(0.95, 0.9, 0.05),
                "warningAlert is 0.95; it must be above 0.0 and at most 0.9"
            },
            {
                MemoryOptions.builder().optAlerts(0.75, 0.9, 0.75),
                "alertHysteresis is 0.75; it must be at least 0 and below warningAlert, 0.75"
            },
            {
                MemoryOptions.builder().optActivations(0, 0.95, 1.5),
                "activationSteps is 0; allowed are 1 to 1000000"
            },
            {
                MemoryOptions.builder().optActivations(9, 95, 1.5),
                "activationPercentile is 95.0; it must be above 0.0 and at most 1.0"
            },
            {
                MemoryOptions.builder().optActivations(9, 0.95, 0.5),
                "activationFactor is 0.5; allowed are 1 to 100"
            },
            {
                MemoryOptions.builder().optHistorySamples(0),
                "historySamples is 0; allowed are 1 to 1000000"
            },
            {
                MemoryOptions.builder().optSampleInterval(Duration.ZERO),
                "sampleInterval is PT0S; allowed are 1 ms to 1 day"
            },
        };
    }

    @Test(dataProvider = "wrongOptions")
    public void wrongOptionsAreNamed(MemoryOptions.Builder builder, String message) {
        LoraConfigurationException e =
                expectThrows(LoraConfigurationException.class, builder::build);
        assertEquals(e.getMessage(), message);
    }
}
