/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openapi;

import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** Serves the OpenAPI 3.1 description of the server's routes, which is written in YAML. */
public final class OpenApiRoutes {

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        Response response = Response.json(200, document());
        return List.of(
                Route.of(
                        Method.GET,
                        "/openapi.json",
                        Permission.NONE,
                        request -> CompletableFuture.completedFuture(response)));
    }

    private static JsonElement document() {
        LoaderOptions options = new LoaderOptions();
        options.setAllowDuplicateKeys(false);
        // the limit is for files of strangers
        options.setMaxAliasesForCollections(1000);
        try (InputStream in = OpenApiRoutes.class.getResourceAsStream("openapi.yaml")) {
            if (in == null) {
                throw new IllegalStateException("openapi.yaml is missing");
            }
            return new Gson().toJsonTree(new Yaml(new SafeConstructor(options)).<Object>load(in));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
