/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.netty.ConnectionLimits;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** Tells what is served, by what, and within which limits. */
public final class InfoRoutes {

    private final ServedModel model;
    private final ConnectionLimits connections;
    private final InferenceLimits inference;

    /**
     * Constructs a new {@code InfoRoutes} instance.
     *
     * @param model what is served
     * @param connections what one client may take
     * @param inference what a request for text may ask for
     */
    public InfoRoutes(ServedModel model, ConnectionLimits connections, InferenceLimits inference) {
        this.model = model;
        this.connections = connections;
        this.inference = inference;
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
                        "/info",
                        Permission.INFER,
                        request -> CompletableFuture.completedFuture(Response.json(200, info()))));
    }

    private JsonObject info() {
        JsonObject info = new JsonObject();
        info.addProperty("name", "djl-lora");
        info.addProperty(
                "version",
                Optional.ofNullable(InfoRoutes.class.getPackage().getImplementationVersion())
                        .orElse("development"));
        info.add("model", model());
        info.addProperty("backend", model.block().getLoraContext().getBackend().getName());
        info.addProperty("replicas", model.replicas().all().size());
        info.add("limits", limits());
        return info;
    }

    private JsonObject model() {
        CausalLanguageModel block = model.block();
        JsonObject shown = new JsonObject();
        shown.addProperty("name", model.name());
        shown.addProperty("created", model.created().toString());
        shown.addProperty("vocabulary", block.getConfig().vocabSize());
        shown.addProperty("maxTokens", block.getConfig().maxPositionEmbeddings());
        shown.addProperty("type", block.getLoraContext().getType().name().toLowerCase(Locale.ROOT));
        return shown;
    }

    private JsonObject limits() {
        JsonObject limits = new JsonObject();
        limits.addProperty("connections", connections.connections());
        limits.addProperty("headerBytes", connections.headerBytes());
        limits.addProperty("bodyBytes", connections.bodyBytes());
        limits.addProperty("uploadBytes", connections.uploadBytes());
        int most = model.block().getConfig().maxPositionEmbeddings();
        limits.addProperty("promptTokens", Math.min(most, inference.promptTokens()));
        limits.addProperty("newTokens", Math.min(most, inference.newTokens()));
        limits.addProperty("answers", inference.answers());
        return limits;
    }
}
