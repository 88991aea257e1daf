/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.registry.Quarantine;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings adapters to the device for those who wait for them: each once, however many wait, on a
 * bounded number of workers. A load that finds no room waits without holding a worker.
 */
final class AdapterLoads implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(AdapterLoads.class);

    private final DeviceTier device;
    private final HostTier host;
    private final DiskTier disk;
    private final Foresight foresight;
    private final MoveQueue queue;
    private final Quarantine quarantine;
    private final Duration timeout;
    private final int waiting;
    private final LongSupplier ticker;

    /** Loads that found no room on the device. */
    private final List<ManagedAdapter> parked = new ArrayList<>();

    private volatile boolean anyParked;

    /** Refuses what there is no memory for. */
    private volatile Consumer<ManagedAdapter> admission = adapter -> {};

    /** Why nothing may be loaded, or null. */
    private volatile String suspension;

    /**
     * Constructs a new {@code AdapterLoads} instance.
     *
     * @param device where adapters are brought
     * @param host where they may be already
     * @param disk reads those that are not
     * @param foresight what is told of adapters that come and go unasked
     * @param options how many loads run and wait
     * @param ticker the time in nanoseconds
     */
    AdapterLoads(
            DeviceTier device,
            HostTier host,
            DiskTier disk,
            Foresight foresight,
            StoreOptions options,
            LongSupplier ticker) {
        this.device = device;
        this.host = host;
        this.disk = disk;
        this.foresight = foresight;
        this.timeout = options.getLoadTimeout();
        this.waiting = options.getMoveQueue();
        this.ticker = ticker;
        queue = new MoveQueue("djl-lora-onload", options.getLoadWorkers(), waiting);
        quarantine =
                Quarantine.builder()
                        .optInitialBackoff(options.getRetryAfter())
                        .optMaxBackoff(options.getLongestRetry())
                        .optTicker(ticker)
                        .build();
    }

    /** Returns a future that completes with the adapter on the device and leased. */
    CompletableFuture<ManagedAdapter> leased(ManagedAdapter adapter) {
        synchronized (adapter) {
            long now = ticker.getAsLong();
            if (adapter.tryLease()) {
                hit(adapter, now);
                return CompletableFuture.completedFuture(adapter);
            }
            device.tier().miss(adapter.deviceEntry());
            adapter.miss(now);
            if (adapter.load() == null) {
                Optional<LoraException> refusal = start(adapter, Tier.Demand.REQUEST, now);
                if (refusal.isPresent()) {
                    return CompletableFuture.failedFuture(refusal.get());
                }
            }
            CompletableFuture<ManagedAdapter> waiter = adapter.load().join();
            waiter.whenComplete((done, failure) -> device.tier().waited(ticker.getAsLong() - now));
            return waiter;
        }
    }

    /** Notes that an adapter was on the device that was asked for. */
    void hit(ManagedAdapter adapter, long now) {
        adapter.hit(now);
        foresight.used(adapter);
        device.tier().hit(adapter.deviceEntry());
    }

    /**
     * Begins to load an adapter that nobody has asked for, where the strategy thinks that it is
     * worth its place.
     *
     * @return whether a load has begun
     */
    boolean foresee(ManagedAdapter adapter) {
        synchronized (adapter) {
            return adapter.load() == null
                    && !adapter.isOnDevice()
                    && start(adapter, Tier.Demand.FORESIGHT, ticker.getAsLong()).isEmpty();
        }
    }

    /* Called with the adapter's monitor held. */
    private Optional<LoraException> start(ManagedAdapter adapter, Tier.Demand demand, long now) {
        String why = suspension;
        if (why != null) {
            return Optional.of(
                    new LoraMemoryException(
                            "Adapter \"" + adapter.name() + "\" cannot be loaded now: " + why));
        }
        Optional<Quarantine.Refusal> known = quarantine.enter(adapter.id());
        if (known.isPresent()) {
            return Optional.of(refusal(adapter, known.get()));
        }
        Load load = new Load(now, demand);
        adapter.setLoad(load);
        if (!queue.submit(() -> load(adapter))) {
            end(adapter);
            quarantine.abandoned(adapter.id());
            return Optional.of(
                    new LoraOffloadException(
                            "Adapter \""
                                    + adapter.name()
                                    + "\" cannot be loaded now: "
                                    + waiting
                                    + " loads are waiting"));
        }
        limitTime(adapter, load);
        return Optional.empty();
    }

    private static LoraException refusal(ManagedAdapter adapter, Quarantine.Refusal refusal) {
        if (refusal.reason() instanceof LoraException known) {
            return known;
        }
        return new LoraOffloadException(
                "Adapter \"" + adapter.name() + "\" could not be loaded: " + refusal.reason(),
                refusal.reason());
    }

    /* Called with the adapter's monitor held. */
    private void limitTime(ManagedAdapter adapter, Load load) {
        CompletableFuture<Void> deadline = new CompletableFuture<>();
        load.setDeadline(deadline);
        deadline.completeOnTimeout(null, timeout.toNanos(), TimeUnit.NANOSECONDS)
                .thenRun(() -> expire(adapter, load));
    }

    /* A load that takes too long fails for those who wait; its worker may still come to an end. */
    private void expire(ManagedAdapter adapter, Load load) {
        boolean late;
        synchronized (adapter) {
            // for how long to wait for room is for those to say who wait
            late = adapter.load() == load && load.mayExpire();
        }
        if (late) {
            quarantine.abandoned(adapter.id());
            LoraException failure =
                    new LoraOffloadException(
                            "Adapter \""
                                    + adapter.name()
                                    + "\" was not loaded within "
                                    + timeout.toMillis()
                                    + " ms");
            fail(adapter, load, failure);
        }
    }

    /** Loads an adapter, on a worker. */
    private void load(ManagedAdapter adapter) {
        Load load;
        synchronized (adapter) {
            load = adapter.load();
            if (load == null || load.isAbandoned()) {
                end(adapter);
                quarantine.abandoned(adapter.id());
                return;
            }
            if (load.isParked()) {
                load.setParked(false);
                limitTime(adapter, load);
            }
        }
        try {
            ReadyAdapter ready = host.get(adapter).orElse(null);
            if (ready == null) {
                admission.accept(adapter);
                long start = ticker.getAsLong();
                ready = disk.read(adapter);
                adapter.setLoadNanos(ticker.getAsLong() - start);
                host.offer(adapter, ready, Tier.Demand.FORESIGHT);
            }
            place(adapter, load, ready);
        } catch (LoraMemoryException e) {
            // no fault of the adapter's: there may be room the next time
            quarantine.abandoned(adapter.id());
            fail(adapter, load, e);
        } catch (LoraException e) {
            quarantine(adapter, load, e);
        } catch (RuntimeException | OutOfMemoryError e) {
            quarantine(
                    adapter,
                    load,
                    new LoraOffloadException(
                            "Adapter \"" + adapter.name() + "\" could not be loaded: " + e, e));
        } finally {
            device.releaseThreads();
        }
    }

    /* Called with the adapter's monitor held. */
    private static void end(ManagedAdapter adapter) {
        if (adapter.load() != null) {
            adapter.load().setDeadline(CompletableFuture.completedFuture(null));
            adapter.setLoad(null);
        }
    }

    private void place(ManagedAdapter adapter, Load load, ReadyAdapter ready) {
        Tier.Demand demand;
        synchronized (adapter) {
            if (adapter.load() != load) {
                // too late
                return;
            }
            load.setPlacing();
            demand = load.demand();
        }
        switch (device.put(adapter, ready, demand, this::release)) {
            case DONE -> {
                quarantine.succeeded(adapter.id());
                withdrawRetired(adapter);
            }
            case TOO_LARGE -> fail(adapter, load, tooLarge(adapter));
            default -> {
                // no room
                if (demand == Tier.Demand.REQUEST) {
                    park(adapter);
                } else {
                    unforesee(adapter, load);
                }
            }
        }
    }

    /* Somebody may have begun to wait meanwhile, for whom room is made. */
    private void unforesee(ManagedAdapter adapter, Load load) {
        boolean wanted;
        synchronized (adapter) {
            wanted = adapter.load() == load && load.demand() == Tier.Demand.REQUEST;
            if (!wanted && adapter.load() == load) {
                end(adapter);
            }
        }
        if (wanted) {
            park(adapter);
            retryParked();
        } else {
            quarantine.abandoned(adapter.id());
        }
    }

    private void park(ManagedAdapter adapter) {
        synchronized (adapter) {
            if (adapter.load() == null) {
                return;
            }
            adapter.load().setParked(true);
        }
        synchronized (parked) {
            parked.add(adapter);
            anyParked = true;
        }
        if (device.hasIdle()) {
            // room was made before the load was parked, and nobody would tell
            retryParked();
        }
    }

    /** Runs the loads that wait for room, since there may be some now. */
    void retryParked() {
        if (!anyParked) {
            return;
        }
        synchronized (parked) {
            // what finds the queue full stays
            parked.removeIf(adapter -> queue.submit(() -> load(adapter)));
            anyParked = !parked.isEmpty();
        }
    }

    private void quarantine(ManagedAdapter adapter, Load load, LoraException reason) {
        if (quarantine.failed(adapter.id(), reason).failures() == 1) {
            logger.warn("Adapter {} could not be loaded: {}", adapter.name(), reason.getMessage());
        }
        fail(adapter, load, reason);
    }

    private void fail(ManagedAdapter adapter, Load load, LoraException failure) {
        List<CompletableFuture<ManagedAdapter>> waiters;
        synchronized (adapter) {
            if (adapter.load() != load) {
                return;
            }
            waiters = List.copyOf(load.waiters());
            end(adapter);
        }
        waiters.forEach(waiter -> waiter.completeExceptionally(failure));
    }

    /** Refuses an adapter that the device could never hold. */
    LoraMemoryException tooLarge(ManagedAdapter adapter) {
        return new LoraMemoryException(
                "Adapter \""
                        + adapter.name()
                        + "\" takes "
                        + adapter.deviceEntry().bytes()
                        + " bytes on the device; the tier's limit is "
                        + device.tier().limits().bytes());
    }

    /** Gives a lease back. */
    void release(ManagedAdapter adapter) {
        if (adapter.release()) {
            withdrawRetired(adapter);
            retryParked();
        }
    }

    private void withdrawRetired(ManagedAdapter adapter) {
        if (adapter.isRetired()) {
            device.remove(adapter, EvictionCause.RETIRED);
        }
    }

    /** Returns why an adapter's last load failed. */
    Optional<Throwable> lastFailure(ManagedAdapter adapter) {
        return quarantine.find(adapter.id()).map(Quarantine.Refusal::reason);
    }

    /** Forgets the failures of an adapter that is no more. */
    void forget(ManagedAdapter adapter) {
        quarantine.succeeded(adapter.id());
    }

    /**
     * Lets no more loads begin, or lets them again.
     *
     * @param why what those are told who ask for an adapter that is not on the device; null to end
     *     it
     */
    void suspend(String why) {
        suspension = why;
    }

    /** Returns for how long an adapter has not been asked for or moved. */
    Duration idleFor(ManagedAdapter adapter) {
        return Duration.ofNanos(ticker.getAsLong() - adapter.lastActive());
    }

    /** Sets who refuses, by throwing, adapters that there is no memory for. */
    void setAdmission(Consumer<ManagedAdapter> admission) {
        this.admission = admission;
    }

    boolean isIdle() {
        return queue.isIdle() && !anyParked;
    }

    /** Lets running loads end, and starts no more. */
    @Override
    public void close() {
        queue.close();
        List<ManagedAdapter> left;
        synchronized (parked) {
            left = List.copyOf(parked);
            parked.clear();
            anyParked = false;
        }
        for (ManagedAdapter adapter : left) {
            Load load;
            synchronized (adapter) {
                load = adapter.load();
            }
            if (load != null) {
                fail(
                        adapter,
                        load,
                        new LoraOffloadException(
                                "Adapter \""
                                        + adapter.name()
                                        + "\" was not loaded: the store was closed"));
            }
        }
    }

    /** Waits until running loads have ended. */
    boolean awaitEnd(Duration time) throws InterruptedException {
        return queue.awaitEnd(time);
    }
}
