/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells those who want to know what came of requests. */
public final class Observers {

    private static final Logger logger = LoggerFactory.getLogger(Observers.class);

    private final List<RequestObserver> list;

    /**
     * Constructs a new {@code Observers} instance.
     *
     * @param list who is told; what one throws is logged
     */
    public Observers(List<RequestObserver> list) {
        this.list = List.copyOf(list);
    }

    /**
     * Returns a response whose end is told.
     *
     * @param request its request
     * @param route its route
     * @param start when the request had come
     * @param startNanos the same by {@link System#nanoTime}
     * @param response the response
     * @return the same response
     */
    public Response watch(
            Request request, Route route, Instant start, long startNanos, Response response) {
        if (response instanceof Response.Whole whole) {
            tell(
                    new RequestOutcome(
                            request,
                            route,
                            whole.status(),
                            whole.headers(),
                            whole.body().length,
                            start,
                            Duration.ofNanos(System.nanoTime() - startNanos),
                            RequestOutcome.End.WHOLE));
            return whole;
        }
        Response.Streamed streamed = (Response.Streamed) response;
        return new Response.Streamed(
                streamed.status(),
                streamed.headers(),
                new WatchedStream(
                        streamed.pieces(),
                        (end, bytes) ->
                                tell(
                                        new RequestOutcome(
                                                request,
                                                route,
                                                streamed.status(),
                                                streamed.headers(),
                                                bytes,
                                                start,
                                                Duration.ofNanos(System.nanoTime() - startNanos),
                                                end))));
    }

    /**
     * Tells of a request that no route has seen.
     *
     * @param refusal what it was, and why
     */
    public void refused(Refusal refusal) {
        tell(refusal.id(), observer -> observer.refused(refusal));
    }

    private void tell(RequestOutcome outcome) {
        tell(outcome.request().id(), observer -> observer.answered(outcome));
    }

    private void tell(String id, Consumer<RequestObserver> told) {
        for (RequestObserver observer : list) {
            try {
                told.accept(observer);
            } catch (RuntimeException e) {
                logger.warn("Request {} could not be noted", id, e);
            }
        }
    }
}
