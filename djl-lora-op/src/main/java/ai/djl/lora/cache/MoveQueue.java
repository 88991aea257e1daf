/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Workers that move adapters between tiers, and the moves that wait for one. Workers end when there
 * has been nothing to do for a while.
 */
final class MoveQueue implements AutoCloseable {

    private static final long IDLE_SECONDS = 10;

    private final ThreadPoolExecutor workers;

    /**
     * Constructs a new {@code MoveQueue} instance.
     *
     * @param name the name of its threads
     * @param threads how many moves run at a time
     * @param waiting how many moves may wait for a worker
     */
    MoveQueue(String name, int threads, int waiting) {
        workers =
                new ThreadPoolExecutor(
                        threads,
                        threads,
                        IDLE_SECONDS,
                        TimeUnit.SECONDS,
                        new ArrayBlockingQueue<>(waiting),
                        work -> {
                            Thread thread = new Thread(work, name);
                            thread.setDaemon(true);
                            return thread;
                        });
        workers.allowCoreThreadTimeOut(true);
    }

    /** Runs a move on a worker. Returns false where too many wait, or the queue is closed. */
    boolean submit(Runnable move) {
        try {
            workers.execute(move);
            return true;
        } catch (RejectedExecutionException e) {
            return false;
        }
    }

    /** Returns whether nothing runs or waits. */
    boolean isIdle() {
        return workers.getActiveCount() == 0 && workers.getQueue().isEmpty();
    }

    int waiting() {
        return workers.getQueue().size();
    }

    /** Waits until everything that was submitted has run. */
    boolean awaitEnd(Duration timeout) throws InterruptedException {
        return workers.awaitTermination(timeout.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Lets what was submitted run to its end, and takes no more. */
    @Override
    public void close() {
        workers.shutdown();
    }
}
