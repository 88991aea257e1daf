/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.AdapterJson;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterRequest;
import ai.djl.lora.server.adapters.Canary;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.SwapErrors;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.Swapped;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Handler;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** This project's own routes of adapters, below {@code /adapters}. */
public final class AdapterRoutes {

    private static final Set<String> ARCHIVES =
            Set.of(
                    "application/zip",
                    "application/gzip",
                    "application/x-gzip",
                    "application/x-tar",
                    "application/octet-stream");

    private static final Duration DRAIN_TIME = Duration.ofSeconds(30);

    private final ServedModel model;
    private final AdapterManager manager;
    private final AdapterJson json;

    /**
     * Constructs a new {@code AdapterRoutes} instance.
     *
     * @param model the model
     * @param manager changes its adapters
     * @param json shows them
     */
    public AdapterRoutes(ServedModel model, AdapterManager manager, AdapterJson json) {
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
        return List.of(
                Route.of(Method.GET, "/adapters", Permission.INFER, this::list),
                Route.of(Method.GET, "/adapters/{id}", Permission.INFER, this::describe),
                Route.of(Method.POST, "/adapters", Permission.MANAGE, this::register),
                Route.of(Method.DELETE, "/adapters/{id}", Permission.MANAGE, this::unregister),
                upload(Method.POST, "/adapters/{id}/upload", this::upload),
                upload(Method.PUT, "/adapters/{id}", this::put),
                action("prefetch", this::prefetch),
                action("pin", request -> pin(request, true)),
                action("unpin", request -> pin(request, false)),
                action("switch", this::switchDefault),
                action("rollback", this::rollback).withErrors(new SwapErrors()),
                change("hot-swap", this::hotSwap),
                change("alias", this::alias),
                Route.of(
                        Method.DELETE,
                        "/adapters/{id}/alias/{alias}",
                        Permission.MANAGE,
                        this::unalias),
                change("canary", this::canary),
                action("canary/promote", this::promote),
                Route.of(
                        Method.DELETE,
                        "/adapters/{id}/canary",
                        Permission.MANAGE,
                        this::endCanary));
    }

    private static Route action(String what, Handler handler) {
        return Route.of(Method.POST, "/adapters/{id}/" + what, Permission.MANAGE, handler);
    }

    private static Route change(String what, Handler handler) {
        return Route.json(Method.POST, "/adapters/{id}/" + what, Permission.MANAGE, handler)
                .withErrors(new SwapErrors());
    }

    private static Route upload(Method method, String path, Handler handler) {
        return Route.of(method, path, Permission.MANAGE, handler)
                .accepting(ARCHIVES)
                .asUpload()
                .withErrors(new SwapErrors());
    }

    private CompletionStage<Response> list(Request request) {
        return done(listed(request, json, model));
    }

    /** Returns the adapters that a caller may see, as this project and DJL Serving list them. */
    static JsonObject listed(Request request, AdapterJson json, ServedModel model) {
        boolean all = request.caller().may(Permission.MANAGE);
        List<RegisteredAdapter> visible =
                model.adapters().getRegistry().list().stream()
                        .filter(adapter -> !adapter.retired() && sees(request, adapter.name()))
                        .toList();
        AdapterPages pages = AdapterPages.of(request, visible);
        JsonArray items = new JsonArray();
        for (RegisteredAdapter adapter : pages.page()) {
            shown(() -> json.item(adapter, all)).ifPresent(items::add);
        }
        JsonObject body = new JsonObject();
        pages.next().ifPresent(token -> body.addProperty("nextPageToken", token));
        body.add("adapters", items);
        return body;
    }

    /** Something that shows an adapter. */
    @FunctionalInterface
    private interface Showing {
        JsonObject show();
    }

    private static Optional<JsonObject> shown(Showing showing) {
        try {
            return Optional.of(showing.show());
        } catch (LoraConfigurationException e) {
            // gone since the list was made
            return Optional.empty();
        }
    }

    private static boolean sees(Request request, String adapter) {
        return request.caller().may(Permission.MANAGE) || request.caller().adapters().test(adapter);
    }

    private CompletionStage<Response> describe(Request request) {
        String name = request.variable("id");
        return described(request, name, manager, json);
    }

    /** Returns what a caller may know of an adapter. */
    static CompletionStage<Response> described(
            Request request, String name, AdapterManager manager, AdapterJson json) {
        if (!sees(request, name)) {
            throw new HttpFailure(404, "adapter_not_found", "there is no adapter of that name");
        }
        RegisteredAdapter adapter = manager.names().find(name);
        if (!sees(request, adapter.name())) {
            throw new HttpFailure(404, "adapter_not_found", "there is no adapter of that name");
        }
        return request.caller().may(Permission.MANAGE)
                ? manager.changes().later(() -> Response.json(200, json.whole(adapter)))
                : done(json.item(adapter, false));
    }

    private CompletionStage<Response> register(Request request) {
        if (request.query().containsKey("name")) {
            return DjlServingRoutes.register(request, manager);
        }
        checkJson(request);
        RequestFields fields = RequestFields.of(request);
        String name = fields.needed("name");
        String source = fields.needed("source");
        Optional<String> sha256 = AdapterFields.sha256(fields);
        AdapterRequest asked = AdapterFields.request(fields);
        fields.end();
        return manager.changes()
                .later(
                        () ->
                                registered(
                                        201,
                                        name,
                                        manager.registration()
                                                .register(
                                                        name,
                                                        from -> from.fetch(source, sha256),
                                                        asked)));
    }

    /* The route takes parameters of DJL Serving's clients too, which send no content. */
    private static void checkJson(Request request) {
        String type = request.header("content-type").orElse("");
        if (!type.split(";", 2)[0].trim().equalsIgnoreCase("application/json")) {
            throw new HttpFailure(
                    415,
                    "unsupported_media_type",
                    "the content type is "
                            + (type.isEmpty() ? "missing" : type)
                            + "; it must be application/json");
        }
    }

    private Response registered(int status, String name, LoadReport report) {
        RegisteredAdapter adapter = manager.names().find(name);
        JsonObject body = json.item(adapter, true);
        body.addProperty("status", "Adapter " + name + " registered");
        body.add("report", AdapterJson.report(report, adapter.current()));
        return Response.json(status, body);
    }

    private CompletionStage<Response> upload(Request request) {
        String name = request.variable("id");
        Fetching archive = archive(request);
        AdapterRequest asked = AdapterFields.request(request);
        return manager.changes()
                .later(
                        () ->
                                registered(
                                        201,
                                        name,
                                        manager.registration().register(name, archive, asked)));
    }

    private CompletionStage<Response> put(Request request) {
        String name = request.variable("id");
        if (!model.adapters().names().contains(name)) {
            return upload(request);
        }
        TrialPlan plan =
                request.parameter("smoke_prompt")
                        .map(
                                prompt ->
                                        new TrialPlan(
                                                Optional.of(prompt).filter(text -> !text.isEmpty()),
                                                List.of(),
                                                Optional.empty(),
                                                TrialPlan.DEFAULT_TIME))
                        .orElse(TrialPlan.SMOKE);
        return manager.swaps()
                .hotSwap(name, archive(request), AdapterFields.request(request), plan, DRAIN_TIME)
                .thenApply(this::swapped);
    }

    private static Fetching archive(Request request) {
        Body body = request.body();
        if (body.length() == 0) {
            throw HttpFailure.badRequest(
                    null, "the body is empty; it must be an archive: zip, tar or tar.gz");
        }
        Optional<String> sha256 = AdapterFields.sha256(request);
        return from -> from.unpack(((Body.InFile) body).file(), sha256);
    }

    private CompletionStage<Response> unregister(Request request) {
        String name = request.variable("id");
        return manager.changes()
                .later(
                        () -> {
                            manager.registration().unregister(name);
                            return status("Adapter " + name + " unregistered");
                        });
    }

    /** Returns what DJL Serving answers to a change. */
    static Response status(String text) {
        JsonObject body = new JsonObject();
        body.addProperty("status", text);
        return Response.json(200, body);
    }

    private CompletionStage<Response> prefetch(Request request) {
        String name = request.variable("id");
        return manager.placement().prefetch(name).thenApply(done -> item(name));
    }

    private Response item(String name) {
        return Response.json(200, json.item(manager.names().find(name), true));
    }

    private CompletionStage<Response> pin(Request request, boolean pinned) {
        String name = request.variable("id");
        manager.placement().pin(name, pinned);
        return CompletableFuture.completedFuture(item(name));
    }

    private CompletionStage<Response> switchDefault(Request request) {
        String name = request.variable("id");
        manager.names().switchDefault(name);
        JsonObject body = new JsonObject();
        body.addProperty("default", name);
        return done(body);
    }

    private CompletionStage<Response> rollback(Request request) {
        String name = request.variable("id");
        if (request.body().length() > 0) {
            checkJson(request);
        }
        RequestFields fields = RequestFields.of(request);
        TrialPlan plan = AdapterFields.plan(fields);
        Duration drain = AdapterFields.seconds(fields, "drain_seconds", DRAIN_TIME);
        fields.end();
        return manager.swaps()
                .rollback(name, plan, drain)
                .thenApply(
                        swapped ->
                                swapped(
                                        swapped,
                                        json.item(manager.names().find(swapped.name()), true)));
    }

    private CompletionStage<Response> hotSwap(Request request) {
        RequestFields fields = RequestFields.of(request);
        String source = fields.needed("source");
        Optional<String> sha256 = AdapterFields.sha256(fields);
        AdapterRequest asked = AdapterFields.request(fields);
        TrialPlan plan = AdapterFields.plan(fields);
        Duration drain = AdapterFields.seconds(fields, "drain_seconds", DRAIN_TIME);
        fields.end();
        return manager.swaps()
                .hotSwap(
                        request.variable("id"),
                        from -> from.fetch(source, sha256),
                        asked,
                        plan,
                        drain)
                .thenApply(this::swapped);
    }

    private Response swapped(Swapped swapped) {
        return swapped(swapped, new JsonObject());
    }

    private Response swapped(Swapped swapped, JsonObject body) {
        body.addProperty("name", swapped.name());
        body.addProperty("previous_revision", swapped.before());
        body.addProperty("revision", swapped.after());
        body.addProperty("drained", swapped.drained());
        JsonObject seconds = new JsonObject();
        for (Map.Entry<SwapStep, Double> step : swapped.seconds().entrySet()) {
            seconds.addProperty(step.getKey().toString(), step.getValue());
        }
        body.add("seconds", seconds);
        manager.names()
                .find(swapped.name())
                .revision(swapped.after())
                .ifPresent(
                        revision ->
                                body.add("report", AdapterJson.report(swapped.report(), revision)));
        return Response.json(200, body);
    }

    private CompletionStage<Response> alias(Request request) {
        String name = request.variable("id");
        RequestFields fields = RequestFields.of(request);
        String alias = fields.needed("alias");
        fields.end();
        manager.names().alias(alias, name);
        return CompletableFuture.completedFuture(item(name));
    }

    private CompletionStage<Response> unalias(Request request) {
        String name = request.variable("id");
        manager.names().unalias(request.variable("alias"), name);
        return CompletableFuture.completedFuture(item(name));
    }

    private CompletionStage<Response> canary(Request request) {
        String name = request.variable("id");
        RequestFields fields = RequestFields.of(request);
        OptionalDouble given = fields.number("share");
        if (given.isEmpty()) {
            throw HttpFailure.badRequest("share", "share is missing");
        }
        double share = given.getAsDouble();
        if (!fields.has("source")) {
            fields.end();
            return canaried(() -> manager.canaries().setShare(name, share));
        }
        String source = fields.needed("source");
        Optional<String> sha256 = AdapterFields.sha256(fields);
        AdapterRequest asked = AdapterFields.request(fields);
        TrialPlan plan = AdapterFields.plan(fields);
        fields.end();
        return canaried(
                () ->
                        manager.canaries()
                                .begin(
                                        name,
                                        from -> from.fetch(source, sha256),
                                        asked,
                                        plan,
                                        share));
    }

    private CompletionStage<Response> promote(Request request) {
        return canaried(() -> manager.canaries().promote(request.variable("id")));
    }

    private CompletionStage<Response> endCanary(Request request) {
        return canaried(() -> manager.canaries().end(request.variable("id")));
    }

    private CompletionStage<Response> canaried(Supplier<Canary> change) {
        return manager.changes()
                .later(
                        () -> {
                            Canary canary = change.get();
                            return Response.json(
                                    200,
                                    json.item(
                                            manager.names().find(canary.candidate().getName()),
                                            true));
                        });
    }

    private static CompletionStage<Response> done(JsonObject body) {
        return CompletableFuture.completedFuture(Response.json(200, body));
    }
}
