/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.server.adapters.AdapterJson;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.adapters.routes.AdapterRoutes;
import ai.djl.lora.server.adapters.routes.DjlServingRoutes;
import ai.djl.lora.server.adapters.routes.SglangRoutes;
import ai.djl.lora.server.adapters.routes.VllmRoutes;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.console.ConsoleRoutes;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Observers;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.http.Router;
import ai.djl.lora.server.inference.AdapterSelector;
import ai.djl.lora.server.inference.GenerateRoutes;
import ai.djl.lora.server.inference.InferenceService;
import ai.djl.lora.server.inference.ServingRoutes;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.openai.ChatRoutes;
import ai.djl.lora.server.openai.CompletionRoutes;
import ai.djl.lora.server.openai.EmbeddingRoutes;
import ai.djl.lora.server.openai.ModelRoutes;
import ai.djl.lora.server.openapi.OpenApiRoutes;
import ai.djl.lora.server.operations.AccessLog;
import ai.djl.lora.server.operations.AuditLog;
import ai.djl.lora.server.operations.FlightEvents;
import ai.djl.lora.server.operations.HealthRoutes;
import ai.djl.lora.server.operations.InfoRoutes;
import ai.djl.lora.server.operations.MetricsRoutes;
import ai.djl.lora.server.operations.RecentRequests;
import ai.djl.lora.server.operations.ServerMetrics;
import ai.djl.lora.server.operations.ServerState;
import ai.djl.lora.server.operations.Tracing;
import ai.djl.lora.server.operations.Watchers;
import ai.djl.lora.server.security.Gate;
import ai.djl.lora.server.security.RateLimits;
import io.opentelemetry.api.OpenTelemetry;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * What a server has between its sockets and its model: the filters that each request passes, the
 * routes that answer, and those who watch.
 */
final class ServerParts implements AutoCloseable {

    private final ServedModel model;
    private final AdapterTargets targets;
    private final AdapterManager manager;
    private final ServerMetrics metrics;
    private final RecentRequests recent = new RecentRequests(System::nanoTime);
    private final Watchers watchers;
    private final AccessLog accessLog = new AccessLog();
    private final Dispatcher everything;
    private final Dispatcher inference;

    /**
     * Constructs a new {@code ServerParts} instance.
     *
     * @param builder what is asked of the server
     * @param state how far the server has come
     */
    ServerParts(LoraServer.Builder builder, Supplier<ServerState> state) {
        model = builder.model;
        targets = new AdapterTargets(model.adapters());
        metrics = new ServerMetrics(model, builder.meters, builder.metricAdapters);
        watchers = new Watchers(model);
        watchers.addEngine(recent);
        watchers.add(new FlightEvents());
        List<Filter> filters = new ArrayList<>();
        RateLimits rates = builder.security.newRateLimits();
        Observers told = observers(builder, filters);
        Gate gate = new Gate(builder.security.newAuthenticators(), rates, told);
        filters.add(gate);
        manager = new AdapterManager(model, targets, new AdapterSources(builder.sources));
        InferenceLimits limits = builder.inferenceLimits.withRate(rates::admitAdapter);
        List<Route> routes = new ArrayList<>();
        routes.addAll(operations(builder, state, limits));
        routes.addAll(inference(builder, limits));
        routes.addAll(adapters());
        routes.addAll(builder.routes);
        filters.addAll(builder.filters);
        if (builder.routing.rules().isEmpty()) {
            // rules may send one request to several adapters
            builder.cache.ifPresent(cache -> filters.add(cache.filter(model, targets)));
        }
        everything = new Dispatcher(new Router(routes), filters, gate::check, told);
        List<Route> unmanaged =
                routes.stream().filter(route -> route.permission() != Permission.MANAGE).toList();
        inference = new Dispatcher(new Router(unmanaged), filters, gate::check, told);
    }

    /* Tracing is told of requests and of what happens in them, so it is a filter too. */
    private Observers observers(LoraServer.Builder builder, List<Filter> filters) {
        List<RequestObserver> observers = new ArrayList<>();
        observers.add(new AuditLog());
        if (builder.accessLog) {
            observers.add(accessLog);
        }
        observers.add(metrics.requests());
        if (builder.telemetry != null) {
            Tracing tracing = new Tracing((OpenTelemetry) builder.telemetry);
            watchers.add(tracing);
            observers.add(tracing);
            filters.add(tracing);
        }
        return new Observers(observers);
    }

    private List<Route> operations(
            LoraServer.Builder builder, Supplier<ServerState> state, InferenceLimits limits) {
        Permission metering = builder.metricsOpen ? Permission.NONE : Permission.MANAGE;
        return Stream.of(
                        new HealthRoutes(state, model, recent).routes(),
                        new InfoRoutes(model, builder.limits, limits).routes(),
                        new MetricsRoutes(metrics, metering).routes(),
                        new OpenApiRoutes().routes(),
                        new ConsoleRoutes().routes())
                .flatMap(List::stream)
                .toList();
    }

    private List<Route> inference(LoraServer.Builder builder, InferenceLimits limits) {
        AdapterSelector selector = new AdapterSelector(model, targets, builder.routing);
        InferenceService service = new InferenceService(model, selector, limits);
        return Stream.of(
                        new CompletionRoutes(service).routes(),
                        new ChatRoutes(service).routes(),
                        new EmbeddingRoutes(service).routes(),
                        new ModelRoutes(service).routes(),
                        new GenerateRoutes(service).routes(),
                        new ServingRoutes(service).routes())
                .flatMap(List::stream)
                .toList();
    }

    private List<Route> adapters() {
        AdapterJson json = new AdapterJson(model.adapters(), targets, manager.names());
        return Stream.of(
                        new AdapterRoutes(model, manager, json).routes(),
                        new DjlServingRoutes(model, manager, json).routes(),
                        new VllmRoutes(manager, targets).routes(),
                        new SglangRoutes(model, manager).routes())
                .flatMap(List::stream)
                .toList();
    }

    /** Returns what says which adapter a request gets. */
    AdapterTargets targets() {
        return targets;
    }

    /** Returns what changes adapters. */
    AdapterManager manager() {
        return manager;
    }

    /** Returns what answers where one port serves all. */
    Dispatcher everything() {
        return everything;
    }

    /** Returns what answers where management has a port of its own. */
    Dispatcher inference() {
        return inference;
    }

    /** Ends what runs beside requests. */
    @Override
    public void close() {
        manager.close();
        accessLog.close();
        watchers.close();
        metrics.close();
    }
}
