/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.RequestOutcome;
import com.google.gson.JsonObject;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notes each request on the logger {@value #LOGGER} at level INFO: a line of JSON with its id,
 * route, caller, adapter, revision, status, time and length. Nothing of what it says is noted.
 */
public final class AccessLog implements RequestObserver {

    /** The name of the logger. */
    public static final String LOGGER = "ai.djl.lora.access";

    private static final Logger logger = LoggerFactory.getLogger(LOGGER);

    /** {@inheritDoc} */
    @Override
    public void answered(RequestOutcome outcome) {
        if (!logger.isInfoEnabled()) {
            return;
        }
        JsonObject line = JsonLine.begin(outcome);
        outcome.header(RequestOutcome.ADAPTER)
                .ifPresent(adapter -> line.addProperty("adapter", adapter));
        outcome.header(RequestOutcome.REVISION)
                .ifPresent(revision -> line.addProperty("revision", revision));
        JsonLine.end(outcome, line);
        line.addProperty("millis", outcome.time().toNanos() / 1_000_000.0);
        line.addProperty("bytesIn", outcome.request().body().length());
        line.addProperty("bytesOut", outcome.bytes());
        logger.info("{}", line);
    }
}
