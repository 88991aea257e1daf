/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.memory.PressureLevel;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.replica.EngineReplica;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** Tells whether the server is there, whether it takes requests, and how it does. */
public final class HealthRoutes {

    private final Supplier<ServerState> state;
    private final ServedModel model;
    private final RecentRequests recent;

    /**
     * Constructs a new {@code HealthRoutes} instance.
     *
     * @param state how far the server has come
     * @param model what is served
     * @param recent how the latest requests went
     */
    public HealthRoutes(Supplier<ServerState> state, ServedModel model, RecentRequests recent) {
        this.state = state;
        this.model = model;
        this.recent = recent;
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
                            checkReady();
                            return CompletableFuture.completedFuture(status("ready"));
                        }),
                Route.of(
                        Method.GET,
                        "/ping",
                        Permission.NONE,
                        request -> {
                            checkReady();
                            // SageMaker wants nothing but the status
                            return CompletableFuture.completedFuture(
                                    new Response.Whole(200, Map.of(), new byte[0]));
                        }),
                Route.of(
                        Method.GET,
                        "/health",
                        Permission.NONE,
                        request -> CompletableFuture.completedFuture(health(request))));
    }

    private void checkReady() {
        if (state.get() == ServerState.ENDING) {
            throw new HttpFailure(503, "not_ready", "the server is ending");
        }
        if (state.get() == ServerState.STARTING) {
            throw new HttpFailure(503, "not_ready", "the server is starting");
        }
        if (!model.replicas().isReady()) {
            throw new HttpFailure(503, "not_ready", "no engine takes requests");
        }
    }

    private static Response status(String status) {
        JsonObject body = new JsonObject();
        body.addProperty("status", status);
        return Response.json(200, body);
    }

    /* Whoever is not known is told the status alone: the numbers tell of others' use. */
    private Response health(Request request) {
        Optional<PressureLevel> pressure =
                model.adapters().getMemoryMonitor().map(MemoryMonitor::pressure);
        boolean critical = pressure.filter(level -> level == PressureLevel.CRITICAL).isPresent();
        ServerState now = state.get();
        boolean well = now == ServerState.READY && !critical && model.replicas().isReady();
        JsonObject body = new JsonObject();
        body.addProperty("status", critical ? "memory_critical" : status(now));
        if (request.caller().may(Permission.INFER)) {
            body.add("process", process());
            body.add("adapters", adapters());
            body.add("memory", memory(pressure));
            body.add("engine", engine(model.replicas().statistics()));
            body.add("replicas", replicas());
            body.add("requests", recent.json());
        }
        return Response.json(well ? 200 : 503, body);
    }

    /* Some engines may have ended while others still answer. */
    private String status(ServerState now) {
        if (now != ServerState.READY) {
            return now.name().toLowerCase(Locale.ROOT);
        }
        if (model.replicas().all().stream().allMatch(EngineReplica::isReady)) {
            return "healthy";
        }
        return model.replicas().isReady() ? "degraded" : "no_engine";
    }

    private static JsonObject process() {
        JsonObject process = new JsonObject();
        process.addProperty(
                "uptimeSeconds", ManagementFactory.getRuntimeMXBean().getUptime() / 1000.0);
        process.addProperty("threads", ManagementFactory.getThreadMXBean().getThreadCount());
        process.addProperty("java", Runtime.version().toString());
        process.addProperty("processors", Runtime.getRuntime().availableProcessors());
        return process;
    }

    private JsonObject adapters() {
        AdapterStore store = model.adapters();
        int ready = 0;
        int failed = 0;
        int all = 0;
        for (String name : store.names()) {
            ++all;
            AdapterState.Place place = store.state(name).place();
            if (place == AdapterState.Place.DEVICE) {
                ++ready;
            } else if (place == AdapterState.Place.FAILED) {
                ++failed;
            }
        }
        JsonObject adapters = new JsonObject();
        adapters.addProperty("registered", all);
        adapters.addProperty("ready", ready);
        adapters.addProperty("failed", failed);
        return adapters;
    }

    private JsonObject memory(Optional<PressureLevel> pressure) {
        JsonObject memory = new JsonObject();
        pressure.ifPresent(
                level -> memory.addProperty("pressure", level.name().toLowerCase(Locale.ROOT)));
        AdapterStore store = model.adapters();
        store.getMemoryMonitor()
                .flatMap(MemoryMonitor::latest)
                .ifPresent(sample -> describe(sample.memory(), memory));
        store.getDeviceMemoryMonitor()
                .flatMap(MemoryMonitor::latest)
                .ifPresent(
                        sample -> {
                            JsonObject device = new JsonObject();
                            describe(sample.memory(), device);
                            memory.add("device", device);
                        });
        Runtime runtime = Runtime.getRuntime();
        memory.addProperty("heapBytes", runtime.totalMemory() - runtime.freeMemory());
        memory.addProperty("heapLimitBytes", runtime.maxMemory());
        return memory;
    }

    private static void describe(MemoryReading reading, JsonObject into) {
        into.addProperty("usedBytes", reading.used());
        into.addProperty("limitBytes", reading.limit());
        into.addProperty("share", reading.ratio());
        into.addProperty("source", reading.source());
    }

    private JsonArray replicas() {
        JsonArray replicas = new JsonArray();
        for (EngineReplica replica : model.replicas().all()) {
            JsonObject one = new JsonObject();
            one.addProperty("replica", replica.index());
            one.addProperty("state", replica.engine().state().name().toLowerCase(Locale.ROOT));
            engine(replica.statistics()).asMap().forEach(one::add);
            replicas.add(one);
        }
        return replicas;
    }

    private static JsonObject engine(EngineStatistics statistics) {
        JsonObject engine = new JsonObject();
        engine.addProperty("running", statistics.running());
        engine.addProperty("waiting", statistics.waiting());
        engine.addProperty("waitingForAdapters", statistics.waitingForAdapters());
        engine.addProperty("kvBlocks", statistics.kvBlocks());
        engine.addProperty("kvBlocksUsed", statistics.usedKvBlocks());
        return engine;
    }
}
