/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where other threads hand requests to an engine's thread, wake it and wait for it. It counts the
 * requests that wait for their first step, of which there may be so many, and those that have not
 * ended.
 */
final class Intake {

    private static final Logger logger = LoggerFactory.getLogger(Intake.class);

    private final int maxQueue;
    private final List<SequenceGroup> arrived = new ArrayList<>();

    /** Requests that have not ended. */
    private int taken;

    /** Requests that no step has had yet. */
    private int notBegun;

    private boolean awake;
    private boolean draining;
    private boolean stopping;

    /**
     * Constructs a new {@code Intake} instance.
     *
     * @param maxQueue how many requests may wait
     */
    Intake(int maxQueue) {
        this.maxQueue = maxQueue;
    }

    /**
     * Takes requests, all or none.
     *
     * @param count how many
     * @param requests makes them once there is room for them
     * @throws EngineBusyException if there is no room
     * @throws IllegalStateException if no more are taken
     */
    synchronized List<SequenceGroup> offer(int count, Supplier<List<SequenceGroup>> requests) {
        if (!draining && notBegun + count > maxQueue) {
            throw new EngineBusyException(
                    notBegun
                            + " requests are waiting and "
                            + maxQueue
                            + " may (maxQueue); try again later");
        }
        return take(requests);
    }

    /**
     * Waits for room, and takes a request.
     *
     * @param request makes it once there is room for it
     * @throws EngineBusyException if the thread was interrupted while it waited
     * @throws IllegalStateException if no more are taken
     */
    synchronized SequenceGroup offerWhenRoom(Supplier<SequenceGroup> request) {
        while (!draining && notBegun >= maxQueue) {
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new EngineBusyException(
                        "The thread was interrupted while it waited for room in the queue");
            }
        }
        return take(() -> List.of(request.get())).get(0);
    }

    private List<SequenceGroup> take(Supplier<List<SequenceGroup>> requests) {
        if (draining) {
            throw new IllegalStateException("The engine is closed");
        }
        List<SequenceGroup> groups = requests.get();
        arrived.addAll(groups);
        taken += groups.size();
        notBegun += groups.size();
        wake();
        return groups;
    }

    /** Wakes the engine's thread, or keeps it from going to sleep. */
    synchronized void wake() {
        awake = true;
        notifyAll();
    }

    /** Returns whether requests are taken. */
    synchronized boolean isOpen() {
        return !draining;
    }

    /** Returns whether there is something new for the engine's thread. */
    synchronized boolean isAwake() {
        return awake;
    }

    /** Returns what has arrived, which is the engine's from now on; nothing when it is to stop. */
    synchronized Optional<List<SequenceGroup>> takeArrivals() {
        if (stopping) {
            return Optional.empty();
        }
        awake = false;
        return Optional.of(takeLast());
    }

    /** Returns what has arrived, after the engine's last step. */
    synchronized List<SequenceGroup> takeLast() {
        List<SequenceGroup> fresh = List.copyOf(arrived);
        arrived.clear();
        return fresh;
    }

    /**
     * Waits until there is something new.
     *
     * @param nanos for how long at most, the longest for any time
     */
    synchronized void sleep(long nanos) {
        // 0 for any time
        long millis =
                nanos == Long.MAX_VALUE ? 0 : Math.max(1, TimeUnit.NANOSECONDS.toMillis(nanos) + 1);
        try {
            boolean again = true;
            while (!awake && again) {
                wait(millis);
                again = millis == 0;
            }
        } catch (InterruptedException e) {
            // nobody interrupts this thread to stop it: stop() does that
            logger.debug("The engine's thread was interrupted", e);
        }
    }

    /** Says that a request has its first step, or will have none. */
    synchronized void begun() {
        --notBegun;
        notifyAll();
    }

    /** Says that so many requests have ended. */
    synchronized void ended(int count) {
        taken -= count;
        notifyAll();
    }

    /** Takes no more requests. */
    synchronized void refuse() {
        draining = true;
        notifyAll();
    }

    /** Takes no more requests, and lets the engine's thread end. */
    synchronized void stop() {
        stopping = true;
        draining = true;
        wake();
    }

    /**
     * Takes no more requests, and waits until those that were taken have ended.
     *
     * @param time the longest time to wait
     * @return whether all have ended
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    synchronized boolean drain(Duration time) throws InterruptedException {
        long deadline = System.nanoTime() + time.toNanos();
        refuse();
        while (taken > 0) {
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }
}
