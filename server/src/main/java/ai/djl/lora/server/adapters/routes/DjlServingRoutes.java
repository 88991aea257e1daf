/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.adapters.AdapterJson;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterRequest;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.Handler;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * Routes of adapters as DJL Serving 0.36 has them, with arguments behind the path. Without the
 * model's name those that list, describe, register and unregister are {@link AdapterRoutes}' own.
 * Unlike there a change of source is not refused: the adapter is swapped.
 */
public final class DjlServingRoutes {

    private final ServedModel model;
    private final AdapterManager manager;
    private final AdapterJson json;

    /**
     * Constructs a new {@code DjlServingRoutes} instance.
     *
     * @param model the model
     * @param manager changes its adapters
     * @param json shows them
     */
    public DjlServingRoutes(ServedModel model, AdapterManager manager, AdapterJson json) {
        this.model = model;
        this.manager = manager;
        this.json = json;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        String all = "/models/{model}/adapters";
        String one = all + "/{id}";
        return List.of(
                route(
                        Method.GET,
                        all,
                        Permission.INFER,
                        request -> {
                            return manager.changes()
                                    .later(
                                            () ->
                                                    Response.json(
                                                            200,
                                                            AdapterRoutes.listed(
                                                                    request, json, model)));
                        }),
                route(
                        Method.GET,
                        one,
                        Permission.INFER,
                        request ->
                                AdapterRoutes.described(
                                        request, request.variable("id"), manager, json)),
                route(Method.POST, all, Permission.MANAGE, request -> register(request, manager)),
                route(Method.DELETE, one, Permission.MANAGE, this::unregister),
                route(Method.POST, one + "/update", Permission.MANAGE, this::update),
                Route.of(Method.POST, "/adapters/{id}/update", Permission.MANAGE, this::update));
    }

    private Route route(Method method, String path, Permission permission, Handler handler) {
        return Route.of(
                method,
                path,
                permission,
                request -> {
                    String name = request.variable("model");
                    if (!name.equals(model.name())) {
                        throw new HttpFailure(
                                404, "model_not_found", "there is no model " + Message.quote(name));
                    }
                    return handler.handle(request);
                });
    }

    /** Registers the adapter that parameters name. */
    static CompletionStage<Response> register(Request request, AdapterManager manager) {
        String name = needed(request, "name");
        String source = needed(request, "src");
        AdapterRequest asked = AdapterFields.request(request);
        return manager.changes()
                .later(
                        () -> {
                            manager.registration()
                                    .register(
                                            name,
                                            from -> from.fetch(source, Optional.empty()),
                                            asked);
                            return AdapterRoutes.status("Adapter " + name + " registered");
                        });
    }

    private static String needed(Request request, String name) {
        return request.parameter(name)
                .filter(value -> !value.isBlank())
                .orElseThrow(
                        () ->
                                HttpFailure.badRequest(
                                        name, "the parameter " + name + " is missing"));
    }

    private CompletionStage<Response> unregister(Request request) {
        String name = request.variable("id");
        return manager.changes()
                .later(
                        () -> {
                            manager.registration().unregister(name);
                            return AdapterRoutes.status("Adapter " + name + " unregistered");
                        });
    }

    private CompletionStage<Response> update(Request request) {
        String name = request.variable("id");
        Optional<Boolean> pin = AdapterFields.flag(request, "pin");
        Optional<String> source = request.parameter("src");
        Response answer = AdapterRoutes.status("Adapter " + name + " updated");
        if (source.isPresent()) {
            return manager.swaps()
                    .hotSwap(
                            name,
                            from -> from.fetch(source.get(), Optional.empty()),
                            AdapterFields.request(request),
                            TrialPlan.SMOKE,
                            Duration.ZERO)
                    .thenApply(swapped -> answer);
        }
        manager.names().find(name);
        return manager.changes()
                .later(
                        () -> {
                            pin.ifPresent(pinned -> manager.placement().pin(name, pinned));
                            return answer;
                        });
    }
}
