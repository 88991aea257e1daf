/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.Refusal;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.RequestOutcome;
import com.google.gson.JsonObject;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notes each request on the logger {@value #LOGGER} at level INFO: a line of JSON with its id,
 * route, caller, adapter, revision, status, time and length; where it was refused before a route
 * saw it, the reason. Nothing of what it says is noted.
 * Lines are written on a thread of their own, since responses end on the engine's, unless many wait
 * already.
 */
public final class AccessLog implements RequestObserver, AutoCloseable {

    /** The name of the logger. */
    public static final String LOGGER = "ai.djl.lora.access";

    private static final Logger logger = LoggerFactory.getLogger(LOGGER);

    private static final int MOST_WAITING = 10_000;

    private final ThreadPoolExecutor writer =
            new ThreadPoolExecutor(
                    1,
                    1,
                    30,
                    TimeUnit.SECONDS,
                    new ArrayBlockingQueue<>(MOST_WAITING),
                    new DefaultThreadFactory("djl-lora-access-log", true),
                    new ThreadPoolExecutor.CallerRunsPolicy());

    private final Logger out;

    /** Constructs a new {@code AccessLog} instance. */
    public AccessLog() {
        this(logger);
    }

    /**
     * Constructs a new {@code AccessLog} instance.
     *
     * @param out takes the lines
     */
    AccessLog(Logger out) {
        this.out = out;
        writer.allowCoreThreadTimeOut(true);
    }

    /** {@inheritDoc} */
    @Override
    public void answered(RequestOutcome outcome) {
        if (out.isInfoEnabled()) {
            writer.execute(() -> write(outcome));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void refused(Refusal refusal) {
        if (out.isInfoEnabled()) {
            writer.execute(() -> write(refusal));
        }
    }

    /** Writes what waits, and no more. */
    @Override
    public void close() {
        writer.shutdown();
        try {
            writer.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void write(RequestOutcome outcome) {
        JsonObject line = JsonLine.begin(outcome);
        outcome.header(RequestOutcome.ADAPTER)
                .ifPresent(adapter -> line.addProperty("adapter", adapter));
        outcome.header(RequestOutcome.REVISION)
                .ifPresent(revision -> line.addProperty("revision", revision));
        JsonLine.end(outcome, line);
        line.addProperty("millis", outcome.time().toNanos() / 1_000_000.0);
        line.addProperty("bytesIn", outcome.request().body().length());
        line.addProperty("bytesOut", outcome.bytes());
        out.info("{}", line);
    }

    private void write(Refusal refusal) {
        JsonObject line = JsonLine.of(refusal);
        line.addProperty("millis", refusal.time().toNanos() / 1_000_000.0);
        line.addProperty("bytesOut", refusal.bytes());
        out.info("{}", line);
    }
}
