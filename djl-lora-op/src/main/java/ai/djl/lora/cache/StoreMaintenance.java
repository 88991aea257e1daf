/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cache.policy.TierLimits;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.memory.HostMemory;
import ai.djl.lora.memory.MemoryAlert;
import ai.djl.lora.memory.MemoryEstimate;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.memory.MemorySample;
import ai.djl.lora.memory.MemorySource;
import ai.djl.lora.memory.PressureEvent;
import ai.djl.lora.memory.Registration;
import java.io.IOException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a store does when nobody asks for anything: unused adapters leave the device, unused copies
 * are compressed, what is likely to be asked for is loaded, and adapters leave when memory is
 * short. On one thread, which starts with the first adapter.
 */
final class StoreMaintenance implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(StoreMaintenance.class);

    /** What a tier may take of the process' memory where no limit is given. */
    private static final int SHARE = 4;

    private static final long END_SECONDS = 10;

    /** Under soft pressure adapters leave that have not been used for this time. */
    private static final Duration SOFT_AGE = Duration.ofMinutes(1);

    private final AdapterCatalog catalog;
    private final DeviceTier device;
    private final HostTier host;
    private final AdapterLoads loads;
    private final StoreOptions options;
    private final Foresight foresight;

    /** By name those whose sum it is. */
    private final Map<String, List<LongSupplier>> consumers = new ConcurrentHashMap<>();

    private final AtomicLong compressed = new AtomicLong();
    private final ScheduledThreadPoolExecutor timer;

    /** The memory that the device tier lies in; empty where that is the host's. */
    private final Optional<MemorySource> deviceMemory;

    private long lastForeseen;
    private volatile MemoryMonitor monitor;
    private volatile MemoryMonitor deviceMonitor;
    private boolean started;
    private boolean closed;

    /**
     * Constructs a new {@code StoreMaintenance} instance.
     *
     * @param catalog the adapters
     * @param device the device tier
     * @param host the host tier
     * @param loads what loads adapters
     * @param foresight what is likely to be asked for
     * @param options what goes on, and how often
     * @param deviceMemory the memory that the device tier lies in; empty where it is the host's
     * @param timer what it goes on on, closed with this
     */
    StoreMaintenance(
            AdapterCatalog catalog,
            DeviceTier device,
            HostTier host,
            AdapterLoads loads,
            Foresight foresight,
            StoreOptions options,
            Optional<MemorySource> deviceMemory,
            ScheduledThreadPoolExecutor timer) {
        this.catalog = catalog;
        this.device = device;
        this.host = host;
        this.loads = loads;
        this.foresight = foresight;
        this.options = options;
        this.deviceMemory = deviceMemory;
        this.timer = timer;
    }

    /** Returns a timer with one thread, which starts with its first task. */
    static ScheduledThreadPoolExecutor newTimer() {
        ScheduledThreadPoolExecutor executor =
                new ScheduledThreadPoolExecutor(
                        1,
                        task -> {
                            Thread thread = new Thread(task, "djl-lora-maintenance");
                            thread.setDaemon(true);
                            return thread;
                        });
        executor.setRemoveOnCancelPolicy(true);
        executor.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
        return executor;
    }

    /**
     * Returns what a tier may hold.
     *
     * @param options its options
     * @param memory the memory that it lies in; empty for the host's
     */
    static TierLimits limits(TierOptions options, Optional<MemorySource> memory) {
        long bytes = options.bytes().orElseGet(() -> memoryLimit(memory) / SHARE);
        return new TierLimits(options.adapters(), bytes);
    }

    private static long memoryLimit(Optional<MemorySource> memory) {
        try {
            return (memory.isPresent() ? memory.get() : HostMemory.open()).read().limit();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    "How much memory there is cannot be read ("
                            + e.getMessage()
                            + "); give the tiers' bytes",
                    e);
        }
    }

    /** Begins, when there is something to take care of; a second call has no effect. */
    synchronized void start() {
        if (started || closed) {
            return;
        }
        started = true;
        if (options.isCleanupEnabled()) {
            every(options.getCleanupInterval(), () -> cleanup(options.getCleanupAge()));
        }
        if (options.getCompression() != Compression.NONE && host.isEnabled()) {
            every(
                    options.getCompressAfter().dividedBy(2),
                    () -> compress(options.getCompressAfter()));
        }
        if (options.isPrefetchEnabled()) {
            every(options.getPrefetchInterval(), this::foresee);
        }
        if (options.isMonitoringEnabled()) {
            startMonitors();
        }
    }

    private void every(Duration interval, Runnable task) {
        long nanos = Math.max(1, interval.toNanos());
        timer.scheduleWithFixedDelay(
                () -> {
                    try {
                        task.run();
                    } catch (RuntimeException e) {
                        logger.warn("Maintenance of the adapter store failed", e);
                    }
                },
                nanos,
                nanos,
                TimeUnit.NANOSECONDS);
    }

    private void startMonitors() {
        deviceMemory.ifPresent(
                memory -> {
                    // its pressure makes nobody leave: what adapters lie in there is taken whole
                    deviceMonitor = new MemoryMonitor(options.getMemory(), memory);
                    deviceMonitor.onAlert(StoreMaintenance::log);
                });
        startMonitor();
        MemoryMonitor ofDevice = deviceMonitor == null ? monitor : deviceMonitor;
        if (ofDevice != null) {
            ofDevice.addConsumer(
                    "adapters on the device", () -> device.tier().statistics().bytes());
            consumers.forEach((name, parts) -> ofDevice.addConsumer(name, () -> sum(parts)));
        }
        if (monitor != null) {
            monitor.start();
            every(options.getMemory().sampleInterval(), this::followLimit);
        }
        if (deviceMonitor != null) {
            deviceMonitor.start();
        }
    }

    private void startMonitor() {
        try {
            MemorySource source = options.getMemorySource().orElse(null);
            monitor =
                    new MemoryMonitor(
                            options.getMemory(), source == null ? HostMemory.open() : source);
        } catch (IOException e) {
            logger.warn("The host's memory is not watched: {}", e.getMessage());
            return;
        }
        monitor.addConsumer(
                "adapters in the host's memory", () -> host.tier().statistics().bytes());
        monitor.onPressure(event -> later(() -> relieve(event)));
        monitor.onAlert(StoreMaintenance::log);
    }

    private static void log(MemoryAlert alert) {
        MemoryReading memory = alert.sample().memory();
        logger.warn(
                "Memory alert {} {}: {} of {} bytes are in use ({})",
                alert.level(),
                alert.raised() ? "raised" : "ended",
                memory.used(),
                memory.limit(),
                memory.source());
    }

    private void later(Runnable task) {
        try {
            timer.execute(task);
        } catch (RejectedExecutionException e) {
            logger.debug("The adapter store is closed", e);
        }
    }

    /* A container's limit can change; a tier without a limit of its own follows, downwards at once. */
    private void followLimit() {
        Optional<MemorySample> latest = monitor.latest();
        if (latest.isPresent()) {
            long share = latest.get().memory().limit() / SHARE;
            if (deviceMemory.isEmpty()) {
                follow(options.getDevice(), device.tier(), share);
                device.shrink(Long.MAX_VALUE, EvictionCause.PRESSURE);
            }
            follow(options.getHost(), host.tier(), share);
            host.shrink(Long.MAX_VALUE, EvictionCause.PRESSURE);
        }
    }

    private static void follow(TierOptions options, Tier tier, long share) {
        if (options.bytes().isEmpty() && share < tier.limits().bytes()) {
            tier.setLimits(new TierLimits(options.adapters(), share));
        }
    }

    /** Adds what takes memory beside adapters, for the monitor's samples. */
    synchronized Registration addConsumer(String name, LongSupplier bytes) {
        List<LongSupplier> parts = consumers.get(name);
        if (parts == null) {
            List<LongSupplier> fresh = new CopyOnWriteArrayList<>();
            parts = fresh;
            consumers.put(name, fresh);
            MemoryMonitor ofDevice = deviceMonitor == null ? monitor : deviceMonitor;
            if (ofDevice != null) {
                ofDevice.addConsumer(name, () -> sum(fresh));
            }
        }
        parts.add(bytes);
        List<LongSupplier> added = parts;
        return () -> added.remove(bytes);
    }

    private static long sum(List<LongSupplier> parts) {
        return parts.stream().mapToLong(LongSupplier::getAsLong).sum();
    }

    /**
     * Refuses to load an adapter for which there is no memory, after copies in the host's have made
     * room for it.
     *
     * @throws LoraMemoryException if it would not leave what the next step needs
     */
    void admit(ManagedAdapter adapter) {
        MemoryMonitor watching = monitor;
        long bytes = adapter.deviceEntry().bytes();
        if (deviceMemory.isPresent()) {
            return; // it goes into memory that was taken before
        }
        if (watching == null || watching.latest().isEmpty() || watching.estimate(bytes).fits()) {
            return;
        }
        host.shrink(0, EvictionCause.PRESSURE);
        host.trim();
        watching.sample();
        MemoryEstimate estimate = watching.estimate(bytes);
        if (!estimate.fits()) {
            throw new LoraMemoryException(
                    "Adapter \""
                            + adapter.name()
                            + "\" takes "
                            + bytes
                            + " bytes; "
                            + Math.max(0, estimate.available())
                            + " can be had below "
                            + estimate.ceiling()
                            + " bytes, from which on memory is short");
        }
    }

    /** Makes adapters leave as far as memory is short. */
    void relieve(PressureEvent event) {
        MemoryReading memory = event.sample().memory();
        switch (event.level()) {
            case SOFT -> {
                loads.suspend(null);
                if (deviceMemory.isEmpty()) {
                    cleanup(SOFT_AGE);
                }
                compress(SOFT_AGE);
            }
            case HARD -> {
                shrinkDevice(device.tier().statistics().bytes() / 2);
                host.shrink(host.tier().statistics().bytes() / 2, EvictionCause.PRESSURE);
            }
            case CRITICAL -> {
                loads.suspend(
                        "memory is short, "
                                + memory.used()
                                + " of "
                                + memory.limit()
                                + " bytes are in use ("
                                + memory.source()
                                + ")");
                shrinkDevice(0);
                host.shrink(0, EvictionCause.PRESSURE);
            }
            default -> loads.suspend(null);
        }
        long given = host.trim() + device.trim();
        logger.info("Memory pressure is {}; {} bytes are free again", event.level(), given);
        loads.retryParked();
    }

    /* What lies elsewhere makes no room in the host's memory. */
    private void shrinkDevice(long target) {
        if (deviceMemory.isEmpty()) {
            device.shrink(target, EvictionCause.PRESSURE);
        }
    }

    /** Takes adapters from the device that nobody has used for a time. */
    int cleanup(Duration age) {
        int gone = 0;
        for (ManagedAdapter adapter : device.residents()) {
            if (adapter.isIdle()
                    && loads.idleFor(adapter).compareTo(age) >= 0
                    && device.remove(adapter, EvictionCause.UNUSED)) {
                ++gone;
            }
        }
        if (gone > 0) {
            loads.retryParked();
        }
        return gone;
    }

    /** Compresses copies in the host's memory that nobody has used for a time. */
    int compress(Duration age) {
        int count = 0;
        for (ManagedAdapter adapter : catalog.adapters()) {
            if (host.holds(adapter)
                    && loads.idleFor(adapter).compareTo(age) >= 0
                    && host.compress(adapter)) {
                ++count;
            }
        }
        compressed.addAndGet(count);
        return count;
    }

    /* When nothing is being loaded, what is likely to be asked for takes the place of what is not. */
    private void foresee() {
        long asked = device.tier().requests();
        if (asked == lastForeseen || !loads.isIdle()) {
            return;
        }
        lastForeseen = asked;
        int count = options.getPrefetchCount();
        List<ManagedAdapter> likely = foresight.likely(count).toList();
        likely.forEach(loads::foresee);
        if (likely.isEmpty()) {
            hottestOffDevice(count).forEach(loads::foresee);
        }
    }

    /* What came too late to find a place, or left for what has cooled down since. */
    private List<ManagedAdapter> hottestOffDevice(int count) {
        Comparator<ManagedAdapter> coldest =
                Comparator.comparingDouble(adapter -> adapter.access().frequency());
        PriorityQueue<ManagedAdapter> hottest = new PriorityQueue<>(coldest);
        for (ManagedAdapter adapter : catalog.adapters()) {
            if (!adapter.isOnDevice() && host.holds(adapter)) {
                hottest.add(adapter);
                if (hottest.size() > count) {
                    hottest.poll();
                }
            }
        }
        return List.copyOf(hottest);
    }

    /** Returns what watches the host's memory; empty before something was registered. */
    synchronized Optional<MemoryMonitor> monitor() {
        return Optional.ofNullable(monitor);
    }

    /** Returns what watches the device's memory, where that is not the host's. */
    synchronized Optional<MemoryMonitor> deviceMonitor() {
        return Optional.ofNullable(deviceMonitor);
    }

    long compressed() {
        return compressed.get();
    }

    /** Ends what goes on in the background, and waits for what is going on just now. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            timer.shutdown();
            if (monitor != null) {
                monitor.close();
            }
            if (deviceMonitor != null) {
                deviceMonitor.close();
            }
        }
        try {
            if (!timer.awaitTermination(END_SECONDS, TimeUnit.SECONDS)) {
                logger.warn("Maintenance of the adapter store does not come to an end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
