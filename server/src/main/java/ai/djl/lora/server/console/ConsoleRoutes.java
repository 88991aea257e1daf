/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.console;

import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Serves the page and what belongs to it. The page holds nothing secret: it asks the other routes,
 * with the key that its user gives it.
 */
public final class ConsoleRoutes {

    /** Scripts and styles of this server alone, and no page of others around it. */
    private static final String POLICY =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
                    + " img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                file("/console", "index.html", "text/html"),
                file("/console/console.css", "console.css", "text/css"),
                file("/console/console.js", "console.js", "text/javascript"));
    }

    private static Route file(String path, String name, String type) {
        Response response =
                new Response.Whole(
                        200,
                        Map.of(
                                Response.CONTENT_TYPE,
                                type + "; charset=utf-8",
                                "Content-Security-Policy",
                                POLICY,
                                "X-Content-Type-Options",
                                "nosniff",
                                "Referrer-Policy",
                                "no-referrer",
                                "Cache-Control",
                                "no-cache"),
                        read(name));
        return Route.of(
                Method.GET,
                path,
                Permission.NONE,
                request -> CompletableFuture.completedFuture(response));
    }

    private static byte[] read(String name) {
        try (InputStream in = ConsoleRoutes.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("the console's " + name + " is missing");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
