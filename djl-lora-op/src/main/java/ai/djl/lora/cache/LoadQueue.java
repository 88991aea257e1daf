/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The workers that load adapters, the loads that wait for one, and the loads that wait for room on
 * the device, which hold no worker meanwhile. Workers end when there has been nothing to do for a
 * while.
 */
final class LoadQueue implements AutoCloseable {

    private static final long IDLE_SECONDS = 10;

    private final ThreadPoolExecutor workers;
    private final List<Runnable> parked = new ArrayList<>();
    private volatile boolean anyParked;

    /**
     * Constructs a new {@code LoadQueue} instance.
     *
     * @param threads how many loads run at a time
     * @param waiting how many loads may wait for a worker
     */
    LoadQueue(int threads, int waiting) {
        workers =
                new ThreadPoolExecutor(
                        threads,
                        threads,
                        IDLE_SECONDS,
                        TimeUnit.SECONDS,
                        new ArrayBlockingQueue<>(waiting),
                        work -> {
                            Thread thread = new Thread(work, "djl-lora-load");
                            thread.setDaemon(true);
                            return thread;
                        });
        workers.allowCoreThreadTimeOut(true);
    }

    /** Runs a load on a worker. Returns false where too many wait, or the queue is closed. */
    boolean submit(Runnable load) {
        try {
            workers.execute(load);
            return true;
        } catch (RejectedExecutionException e) {
            return false;
        }
    }

    /** Keeps a load until there may be room for it. */
    void park(Runnable load) {
        synchronized (parked) {
            parked.add(load);
            anyParked = true;
        }
    }

    /** Runs the loads that wait for room, since there may be some now. */
    void retryParked() {
        if (!anyParked) {
            return;
        }
        synchronized (parked) {
            // what finds the queue full stays
            parked.removeIf(this::submit);
            anyParked = !parked.isEmpty();
        }
    }

    /** Lets running loads end, and starts no more. */
    @Override
    public void close() {
        workers.shutdown();
    }
}
