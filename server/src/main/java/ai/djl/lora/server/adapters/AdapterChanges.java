/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Where and when adapters are changed: on threads for that, and each adapter by one at a time. */
public final class AdapterChanges implements AutoCloseable {

    private static final int WORKERS = 4;
    private static final int WAITING = 256;
    private static final Duration END = Duration.ofSeconds(5);

    private final Set<String> busy = ConcurrentHashMap.newKeySet();
    private final ThreadPoolExecutor workers;
    private final ScheduledThreadPoolExecutor timer;

    AdapterChanges() {
        workers =
                new ThreadPoolExecutor(
                        WORKERS,
                        WORKERS,
                        30,
                        TimeUnit.SECONDS,
                        new ArrayBlockingQueue<>(WAITING),
                        task -> thread(task, "djl-lora-adapters"));
        workers.allowCoreThreadTimeOut(true);
        timer = new ScheduledThreadPoolExecutor(1, task -> thread(task, "djl-lora-adapters-timer"));
    }

    private static Thread thread(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }

    /**
     * Does something that takes its time, on a thread for that.
     *
     * @param work the work
     * @param <T> what comes out
     * @return what comes out, later; fails with what is thrown, and with an {@link HttpFailure} of
     *     status 503 if too much waits
     */
    public <T> CompletableFuture<T> later(Supplier<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        try {
            workers.execute(
                    () -> {
                        try {
                            result.complete(work.get());
                        } catch (RuntimeException | Error e) {
                            result.completeExceptionally(e);
                        }
                    });
        } catch (RejectedExecutionException e) {
            result.completeExceptionally(
                    AdapterFailures.passing(
                            503, "server_busy", "too many changes of adapters are waiting", e));
        }
        return result;
    }

    /**
     * Does a change of an adapter while nobody else can change it.
     *
     * @param name the adapter's own name
     * @param change the change
     * @param <T> what comes out
     * @return what comes out
     * @throws HttpFailure of status 409 if the adapter is being changed
     */
    <T> T alone(String name, Supplier<T> change) {
        if (!busy.add(name)) {
            throw AdapterFailures.passing(
                    409,
                    "adapter_busy",
                    "adapter " + Message.quote(name) + " is being changed by another request",
                    null);
        }
        try {
            return change.get();
        } finally {
            busy.remove(name);
        }
    }

    /**
     * Does something short after a time.
     *
     * @param pause the time
     * @param work the work, which must not throw
     * @throws RejectedExecutionException if this has been closed
     */
    void after(Duration pause, Runnable work) {
        timer.schedule(work, pause.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** Does something again and again, with a pause before each time. */
    void every(Duration pause, Runnable work) {
        timer.scheduleWithFixedDelay(work, pause.toNanos(), pause.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** Ends what waits, and waits a while for what has begun. */
    @Override
    public void close() {
        timer.shutdownNow();
        workers.shutdownNow();
        try {
            workers.awaitTermination(END.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
