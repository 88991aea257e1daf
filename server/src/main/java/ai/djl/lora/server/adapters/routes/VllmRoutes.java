/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterRequest;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/**
 * Routes of adapters as vLLM has them, answered in plain text. An adapter that is loaded in place
 * is tried before it takes the other's place, which there it is not.
 */
public final class VllmRoutes {

    private final AdapterManager manager;
    private final AdapterTargets targets;

    /**
     * Constructs a new {@code VllmRoutes} instance.
     *
     * @param manager changes adapters
     * @param targets knows their names
     */
    public VllmRoutes(AdapterManager manager, AdapterTargets targets) {
        this.manager = manager;
        this.targets = targets;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(
                Route.json(Method.POST, "/v1/load_lora_adapter", Permission.MANAGE, this::load),
                Route.json(
                        Method.POST, "/v1/unload_lora_adapter", Permission.MANAGE, this::unload));
    }

    private CompletionStage<Response> load(Request request) {
        RequestFields fields = RequestFields.of(request);
        String name = fields.needed("lora_name");
        String source = LoraPath.source(fields.needed("lora_path"));
        boolean inPlace = fields.flag("load_inplace").orElse(false);
        fields.end();
        Fetching fetching = from -> from.fetch(source, Optional.empty());
        CompletionStage<?> done =
                inPlace && targets.has(name)
                        ? manager.swaps()
                                .hotSwap(
                                        name,
                                        fetching,
                                        AdapterRequest.PLAIN,
                                        TrialPlan.SMOKE,
                                        Duration.ZERO)
                        : manager.changes()
                                .later(
                                        () ->
                                                manager.registration()
                                                        .register(
                                                                name,
                                                                fetching,
                                                                AdapterRequest.PLAIN));
        return done.handle(
                (result, failure) -> {
                    if (failure != null) {
                        throw asThere(failure);
                    }
                    return success("Success: LoRA adapter '" + name + "' added successfully.");
                });
    }

    /* vLLM answers 400 to a name that is taken. */
    private static CompletionException asThere(Throwable failure) {
        Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
        if (cause instanceof HttpFailure known && known.code().equals("adapter_exists")) {
            return new CompletionException(
                    new HttpFailure(
                            400,
                            known.code(),
                            known.getMessage() + "; set load_inplace to put this in its place",
                            "lora_name",
                            known.headers(),
                            known));
        }
        return new CompletionException(cause);
    }

    private CompletionStage<Response> unload(Request request) {
        RequestFields fields = RequestFields.of(request);
        String name = fields.needed("lora_name");
        // the number by which vLLM's engine knows an adapter, which has no meaning here or there
        fields.number("lora_int_id");
        fields.end();
        return manager.changes()
                .later(
                        () -> {
                            manager.registration().unregister(name);
                            return success(
                                    "Success: LoRA adapter '" + name + "' removed successfully.");
                        });
    }

    private static Response success(String text) {
        return Response.text(200, "text/plain", text);
    }
}
