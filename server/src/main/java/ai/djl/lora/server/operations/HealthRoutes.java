/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;

/** Tells whether the server is there, and whether it takes requests. */
public final class HealthRoutes {

    private final BooleanSupplier ready;

    /**
     * Constructs a new {@code HealthRoutes} instance.
     *
     * @param ready whether the server takes requests
     */
    public HealthRoutes(BooleanSupplier ready) {
        this.ready = ready;
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
                        "/health/live",
                        Permission.NONE,
                        request -> CompletableFuture.completedFuture(status("alive"))),
                Route.of(
                        Method.GET,
                        "/health/ready",
                        Permission.NONE,
                        request -> {
                            if (!ready.getAsBoolean()) {
                                throw new HttpFailure(503, "not_ready", "the server is ending");
                            }
                            return CompletableFuture.completedFuture(status("ready"));
                        }));
    }

    private static Response status(String status) {
        JsonObject body = new JsonObject();
        body.addProperty("status", status);
        return Response.json(200, body);
    }
}
