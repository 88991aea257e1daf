/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterRequest;
import ai.djl.lora.server.http.ErrorFormat;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CompletionStage;

/**
 * Routes of adapters as SGLang has them: {@code success}, {@code error_message} and {@code
 * loaded_adapters}.
 */
public final class SglangRoutes {

    private final ServedModel model;
    private final AdapterManager manager;

    /**
     * Constructs a new {@code SglangRoutes} instance.
     *
     * @param model the model
     * @param manager changes its adapters
     */
    public SglangRoutes(ServedModel model, AdapterManager manager) {
        this.model = model;
        this.manager = manager;
    }

    /** Says what is wrong as SGLang's clients look for it. */
    private static final class Errors implements ErrorFormat {

        /** {@inheritDoc} */
        @Override
        public JsonElement write(HttpFailure failure) {
            return body(false, failure.getMessage());
        }
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.json(Method.POST, "/load_lora_adapter", Permission.MANAGE, this::load)
                        .withErrors(new Errors()),
                Route.json(Method.POST, "/unload_lora_adapter", Permission.MANAGE, this::unload)
                        .withErrors(new Errors()));
    }

    private CompletionStage<Response> load(Request request) {
        RequestFields fields = RequestFields.of(request);
        String name = fields.needed("lora_name");
        String source = LoraPath.source(fields.needed("lora_path"));
        Optional<Boolean> pinned = fields.flag("pinned");
        fields.end();
        AdapterRequest asked =
                new AdapterRequest(
                        Optional.empty(),
                        pinned,
                        OptionalDouble.empty(),
                        Optional.empty(),
                        Map.of(),
                        true);
        return manager.changes()
                .later(
                        () -> {
                            manager.registration()
                                    .register(
                                            name,
                                            from -> from.fetch(source, Optional.empty()),
                                            asked);
                            return loaded();
                        });
    }

    private CompletionStage<Response> unload(Request request) {
        RequestFields fields = RequestFields.of(request);
        String name = fields.needed("lora_name");
        fields.end();
        return manager.changes()
                .later(
                        () -> {
                            manager.registration().unregister(name);
                            return loaded();
                        });
    }

    private Response loaded() {
        JsonObject adapters = new JsonObject();
        for (RegisteredAdapter adapter : model.adapters().getRegistry().list()) {
            if (!adapter.retired()) {
                adapters.addProperty(adapter.name(), AdapterRequest.sourceOf(adapter.current()));
            }
        }
        JsonObject body = body(true, "");
        body.add("loaded_adapters", adapters);
        return Response.json(200, body);
    }

    private static JsonObject body(boolean success, String message) {
        JsonObject body = new JsonObject();
        body.addProperty("success", success);
        body.addProperty("error_message", message);
        return body;
    }
}
