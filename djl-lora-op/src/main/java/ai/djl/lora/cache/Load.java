/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The one load of an adapter that is under way, and everybody who waits for it. Guarded by the
 * adapter's monitor.
 */
final class Load {

    private final long started;
    private final Tier.Demand demand;
    private final List<CompletableFuture<ManagedAdapter>> waiters = new ArrayList<>();
    private boolean parked;
    private boolean placing;
    private CompletableFuture<Void> deadline = CompletableFuture.completedFuture(null);

    /**
     * Constructs a new {@code Load} instance.
     *
     * @param started when, in the store's ticks
     * @param demand for whom
     */
    Load(long started, Tier.Demand demand) {
        this.started = started;
        this.demand = demand;
    }

    /** Returns a future that completes with the adapter leased. */
    CompletableFuture<ManagedAdapter> join() {
        CompletableFuture<ManagedAdapter> waiter = new CompletableFuture<>();
        waiters.add(waiter);
        return waiter;
    }

    List<CompletableFuture<ManagedAdapter>> waiters() {
        return waiters;
    }

    /** Sets whether the load waits for room, which is no concern of its time-out. */
    void setParked(boolean parked) {
        this.parked = parked;
        placing = false;
    }

    boolean isParked() {
        return parked;
    }

    /** Notes that the adapter is being put on the device, which nothing stops any more. */
    void setPlacing() {
        placing = true;
    }

    /** Returns whether the load may be given up for taking too long. */
    boolean mayExpire() {
        return !parked && !placing;
    }

    /** Sets what ends the load when it takes too long, in the place of what did before. */
    void setDeadline(CompletableFuture<Void> next) {
        deadline.cancel(false);
        deadline = next;
    }

    long started() {
        return started;
    }

    /** Returns for whom room is made: for requests as soon as one waits. */
    Tier.Demand demand() {
        return waiters.isEmpty() ? demand : Tier.Demand.REQUEST;
    }

    /** Returns whether everybody who waited has gone, though somebody did. */
    boolean isAbandoned() {
        return !waiters.isEmpty() && waiters.stream().allMatch(CompletableFuture::isDone);
    }
}
