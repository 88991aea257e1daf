/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.AdapterSelector;
import ai.djl.lora.server.inference.InferenceService;
import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * OpenAI's {@code GET /v1/models} and {@code GET /v1/models/{id}}: the base model, its adapters,
 * stacks and aliases, as far as the caller may use them. {@code root} is the base model of them all
 * and {@code parent} what a model stands on: the base model for adapters and stacks, its target for
 * an alias.
 */
public final class ModelRoutes {

    private final InferenceService service;

    /**
     * Constructs a new {@code ModelRoutes} instance.
     *
     * @param service knows the model
     */
    public ModelRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.of(Method.GET, "/v1/models", Permission.INFER, this::list),
                Route.of(Method.GET, "/v1/models/{id}", Permission.INFER, this::one));
    }

    private CompletionStage<Response> list(Request request) {
        JsonArray data = new JsonArray();
        if (service.selector().isThere(request, "")) {
            data.add(base());
        }
        AdapterStore store = service.model().adapters();
        List<String> names = new ArrayList<>(store.names());
        names.addAll(store.stackNames());
        names.addAll(store.getRegistry().aliases().keySet());
        for (String name : names) {
            if (service.selector().isThere(request, name)) {
                data.add(adapter(name));
            }
        }
        JsonObject body = new JsonObject();
        body.addProperty("object", "list");
        body.add("data", data);
        return CompletableFuture.completedFuture(Response.json(200, body));
    }

    private CompletionStage<Response> one(Request request) {
        String id = request.variable("id");
        boolean base = id.equals(service.model().name());
        if (!service.selector().isThere(request, base ? "" : id)) {
            throw AdapterSelector.notFound(id, "id");
        }
        return CompletableFuture.completedFuture(Response.json(200, base ? base() : adapter(id)));
    }

    private JsonObject base() {
        JsonObject model = model(service.model().name(), service.model().created());
        model.add("parent", JsonNull.INSTANCE);
        return model;
    }

    private JsonObject adapter(String name) {
        var registry = service.model().adapters().getRegistry();
        Optional<RegisteredAdapter> known = registry.find(name);
        Instant created =
                known.map(adapter -> adapter.current().registered())
                        .orElse(service.model().created());
        JsonObject model = model(name, created);
        Map<String, String> aliases = registry.aliases();
        model.addProperty("parent", aliases.getOrDefault(name, service.model().name()));
        known.ifPresent(adapter -> model.addProperty("revision", adapter.current().hash()));
        return model;
    }

    private JsonObject model(String id, Instant created) {
        JsonObject model = new JsonObject();
        model.addProperty("id", id);
        model.addProperty("object", "model");
        model.addProperty("created", created.getEpochSecond());
        model.addProperty("owned_by", "djl-lora");
        model.addProperty("root", service.model().name());
        model.addProperty(
                "max_model_len", service.model().block().getConfig().maxPositionEmbeddings());
        return model;
    }
}
