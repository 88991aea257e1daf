/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Tells the metrics, as JSON and as Prometheus reads them. */
public final class MetricsRoutes {

    private static final String EXPOSITION = "text/plain; version=0.0.4";

    private final ServerMetrics metrics;
    private final Permission permission;

    /**
     * Constructs a new {@code MetricsRoutes} instance.
     *
     * @param metrics the metrics
     * @param permission what a caller must be allowed to see them
     */
    public MetricsRoutes(ServerMetrics metrics, Permission permission) {
        this.metrics = metrics;
        this.permission = permission;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.of(
                        Method.GET,
                        "/metrics",
                        permission,
                        request ->
                                CompletableFuture.completedFuture(
                                        isForPrometheus(request) ? text() : json())),
                Route.of(
                        Method.GET,
                        "/metrics/prometheus",
                        permission,
                        request -> CompletableFuture.completedFuture(text())));
    }

    /* Collectors that know no other path than /metrics say what they read. */
    private static boolean isForPrometheus(Request request) {
        String accept = request.header("accept").orElse("");
        return (accept.contains("text/plain") || accept.contains("openmetrics"))
                && !accept.contains("json");
    }

    private Response text() {
        return Response.text(200, EXPOSITION, metrics.prometheus());
    }

    private Response json() {
        return Response.json(200, MetricsJson.write(metrics.meters()));
    }
}
