/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import ai.djl.lora.LoraMemoryException;
import java.io.IOException;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches how much memory is in use, and says when that changes what should be done.
 *
 * <p>Pressure and alerts go by the share of a {@link MemorySource} that is in use, never by how
 * full a cache is: full is what a cache should be. Consumers that are registered by name say what
 * they take; that explains the use, and does not count towards it again.
 *
 * <p>All methods may be called from any thread. Listeners are called one after another from the
 * thread that took the sample. They should hand long work to others, and must not wait for another
 * sample.
 */
public final class MemoryMonitor implements AutoCloseable {

    /** The name of the consumer that tells what the base model's weights take. */
    public static final String MODEL_WEIGHTS = "model weights";

    /** The name of the consumer that tells what the keys and values of all sequences take. */
    public static final String KV_CACHE = "KV cache";

    /**
     * The name of the consumer that tells what activations take at the moment; {@link #estimate}
     * does not keep that back a second time.
     */
    public static final String ACTIVATIONS = "activations";

    private static final Logger logger = LoggerFactory.getLogger(MemoryMonitor.class);

    private final MemoryOptions options;
    private final MemorySource source;
    private final InstantSource clock;
    private final ScheduledExecutorService scheduler;
    private final ActivationWindow activations;
    private final Map<String, LongSupplier> consumers = new ConcurrentHashMap<>();
    private final List<Consumer<? super PressureEvent>> pressureListeners =
            new CopyOnWriteArrayList<>();
    private final List<Consumer<? super MemoryAlert>> alertListeners = new CopyOnWriteArrayList<>();
    private final AtomicBoolean started = new AtomicBoolean();
    private volatile boolean closed;

    /** Whether the last sample on time failed, so that a lasting failure is told of once. */
    private volatile boolean failing;

    /** Held while a sample is taken and told of, so that listeners hear of changes in order. */
    private final ReentrantLock sampling = new ReentrantLock();

    /* Guarded by the lock above. */
    private final PressureGauge gauge;
    private final List<AlertGauge> alerts;

    /* What others may read at any time. */
    private final Object recordLock = new Object();
    private final Deque<MemorySample> history = new ArrayDeque<>();
    private MemorySample baseline;
    private volatile PressureLevel pressure = PressureLevel.NONE;

    /**
     * Constructs a new {@code MemoryMonitor} instance.
     *
     * @param options the thresholds and intervals
     * @param source the memory to watch
     * @param clock what samples have their times from
     * @param scheduler what samples are taken on; the monitor shuts it down
     */
    public MemoryMonitor(
            MemoryOptions options,
            MemorySource source,
            InstantSource clock,
            ScheduledExecutorService scheduler) {
        this.options = options;
        this.source = source;
        this.clock = clock;
        this.scheduler = scheduler;
        activations = new ActivationWindow(options);
        gauge = new PressureGauge(options);
        double hysteresis = options.alertHysteresis();
        alerts =
                List.of(
                        new AlertGauge(
                                MemoryAlert.Level.WARNING, options.warningAlert(), hysteresis),
                        new AlertGauge(
                                MemoryAlert.Level.CRITICAL, options.criticalAlert(), hysteresis));
    }

    /**
     * Constructs a new {@code MemoryMonitor} instance with a thread of its own.
     *
     * @param options the thresholds and intervals
     * @param source the memory to watch
     */
    public MemoryMonitor(MemoryOptions options, MemorySource source) {
        this(
                options,
                source,
                InstantSource.system(),
                Executors.newSingleThreadScheduledExecutor(
                        task -> {
                            Thread thread = new Thread(task, "djl-lora-memory-monitor");
                            thread.setDaemon(true);
                            return thread;
                        }));
    }

    /**
     * Begins to take samples on the interval of the options, the first at once.
     *
     * @throws IllegalStateException if the monitor was started before, or is closed
     */
    public void start() {
        checkOpen();
        if (!started.compareAndSet(false, true)) {
            throw new IllegalStateException("The memory monitor was started already");
        }
        scheduler.scheduleWithFixedDelay(
                this::sampleOnTime, 0, options.sampleInterval().toNanos(), TimeUnit.NANOSECONDS);
    }

    /* A task that throws would not be run again. */
    private void sampleOnTime() {
        try {
            sample();
            failing = false;
        } catch (RuntimeException e) {
            if (!failing && !closed) {
                failing = true;
                logger.warn(
                        "No memory sample could be taken; the next ones are tried as before", e);
            }
        }
    }

    /**
     * Takes a sample now, and tells listeners of what it changes.
     *
     * @return the sample
     * @throws LoraMemoryException if the memory's use cannot be read
     * @throws IllegalStateException if the monitor is closed
     */
    public MemorySample sample() {
        checkOpen();
        sampling.lock();
        try {
            MemorySample sample = measure();
            synchronized (recordLock) {
                history.addLast(sample);
                if (history.size() > options.historySamples()) {
                    history.removeFirst();
                }
                if (baseline == null) {
                    baseline = sample;
                }
            }
            tell(sample);
            return sample;
        } finally {
            sampling.unlock();
        }
    }

    private MemorySample measure() {
        Runtime runtime = Runtime.getRuntime();
        Map<String, Long> taken = new TreeMap<>();
        consumers.forEach((name, bytes) -> ask(name, bytes).ifPresent(b -> taken.put(name, b)));
        return new MemorySample(
                clock.instant(),
                read(),
                runtime.totalMemory() - runtime.freeMemory(),
                residentSet(),
                taken,
                activations.reserve());
    }

    private MemoryReading read() {
        try {
            return source.read();
        } catch (IOException e) {
            throw new LoraMemoryException("The memory in use cannot be read: " + e.getMessage(), e);
        }
    }

    private static OptionalLong residentSet() {
        try {
            return ProcFiles.residentSet(ProcFiles.systemRoot());
        } catch (IOException e) {
            logger.debug("The resident set cannot be read", e);
            return OptionalLong.empty();
        }
    }

    /* What a consumer says is for people to read: a wrong one must not stop the monitor. */
    private static OptionalLong ask(String name, LongSupplier bytes) {
        try {
            long taken = bytes.getAsLong();
            if (taken >= 0) {
                return OptionalLong.of(taken);
            }
            logger.warn("Memory consumer \"{}\" says that it takes {} bytes", name, taken);
        } catch (RuntimeException e) {
            logger.warn("Memory consumer \"{}\" does not say what it takes", name, e);
        }
        return OptionalLong.empty();
    }

    private void tell(MemorySample sample) {
        double ratio = sample.memory().ratio();
        for (AlertGauge alert : alerts) {
            if (alert.update(ratio)) {
                tell(alertListeners, new MemoryAlert(alert.level(), alert.isRaised(), sample));
            }
        }
        PressureLevel previous = gauge.level();
        PressureLevel level = gauge.update(ratio);
        pressure = level;
        if (level != previous) {
            logger.debug("Memory pressure {} -> {}: {}", previous, level, sample);
            tell(pressureListeners, new PressureEvent(previous, level, sample));
        }
    }

    private <E> void tell(List<Consumer<? super E>> listeners, E event) {
        for (Consumer<? super E> listener : listeners) {
            try {
                listener.accept(event);
            } catch (RuntimeException e) {
                logger.error("A listener failed on {}", event, e);
            }
        }
    }

    /**
     * Registers a consumer of memory.
     *
     * @param name what it is called in samples, such as {@link #KV_CACHE}
     * @param bytes says what it takes; called for each sample, and must return at once
     * @return ends the registration
     * @throws IllegalArgumentException if there is a consumer of that name
     */
    public Registration addConsumer(String name, LongSupplier bytes) {
        // an object of this registration alone, so that closing it twice ends no other
        LongSupplier own = bytes::getAsLong;
        if (consumers.putIfAbsent(name, own) != null) {
            throw new IllegalArgumentException(
                    "There is a memory consumer \"" + name + "\" already");
        }
        return () -> consumers.remove(name, own);
    }

    /**
     * Registers a listener of changes of the pressure. It is not told of the present level; see
     * {@link #pressure()}.
     *
     * @param listener called once for each change
     * @return ends the registration
     */
    public Registration onPressure(Consumer<? super PressureEvent> listener) {
        Consumer<PressureEvent> own = listener::accept;
        pressureListeners.add(own);
        return () -> pressureListeners.remove(own);
    }

    /**
     * Registers a listener of alerts.
     *
     * @param listener called once as a threshold is reached, and once as it is left
     * @return ends the registration
     */
    public Registration onAlert(Consumer<? super MemoryAlert> listener) {
        Consumer<MemoryAlert> own = listener::accept;
        alertListeners.add(own);
        return () -> alertListeners.remove(own);
    }

    /**
     * Takes in what a step of the model took for activations.
     *
     * @param bytes the most that it took at a time, in bytes
     */
    public void reportStep(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException(
                    "A step's activations take 0 bytes or more, found " + bytes);
        }
        activations.add(bytes);
    }

    /**
     * Returns what the next step may need for activations: a factor times a high percentile
     * (nearest rank) of the recent steps.
     *
     * @return the size in bytes; 0 before the first step was reported
     */
    public long activationReserve() {
        return activations.reserve();
    }

    /**
     * Says whether something would fit into the memory, by its use at this moment.
     *
     * @param bytes the size of what is to be loaded, at least 0
     * @return the estimate
     * @throws LoraMemoryException if the memory's use cannot be read
     */
    public MemoryEstimate estimate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("A size is 0 bytes or more, found " + bytes);
        }
        MemoryReading now = read();
        LongSupplier consumer = consumers.get(ACTIVATIONS);
        long inUse = consumer == null ? 0 : ask(ACTIVATIONS, consumer).orElse(0);
        return new MemoryEstimate(
                bytes,
                now.used(),
                Math.max(0, activations.reserve() - inUse),
                (long) (options.criticalPressure() * now.limit()));
    }

    /**
     * Returns the level as of the latest sample.
     *
     * @return the level; none before the first sample
     */
    public PressureLevel pressure() {
        return pressure;
    }

    /**
     * Returns the latest samples, as many as the options say.
     *
     * @return the samples, oldest first
     */
    public List<MemorySample> history() {
        synchronized (recordLock) {
            return List.copyOf(history);
        }
    }

    /**
     * Returns the latest sample.
     *
     * @return the sample; empty before the first
     */
    public Optional<MemorySample> latest() {
        synchronized (recordLock) {
            return Optional.ofNullable(history.peekLast());
        }
    }

    /**
     * Returns the sample that others are compared with: the first one, or that of {@link
     * #markBaseline()}.
     *
     * @return the sample; empty before the first
     */
    public Optional<MemorySample> baseline() {
        synchronized (recordLock) {
            return Optional.ofNullable(baseline);
        }
    }

    /**
     * Takes a sample and makes it the baseline, as after the base model was loaded.
     *
     * @return the sample
     * @throws LoraMemoryException if the memory's use cannot be read
     */
    public MemorySample markBaseline() {
        MemorySample sample = sample();
        synchronized (recordLock) {
            baseline = sample;
        }
        return sample;
    }

    /** Takes no more samples, and ends the scheduler's thread after what it is doing. */
    @Override
    public void close() {
        closed = true;
        scheduler.shutdown();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The memory monitor is closed");
        }
    }
}
