/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.Handler;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.RequestOutcome;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.LongSupplier;

/**
 * Keeps answers to requests that have one answer alone: those that are not streamed, and are greedy
 * or have a seed. An answer is given again while the adapter's name leads to the revision that gave
 * it, and to callers who may use that adapter.
 */
public final class ResponseCache {

    /** Says that an answer was not computed anew. */
    public static final String HEADER = "X-Cache";

    /** Headers that make no difference to an answer, and must not be kept. */
    private static final Set<String> IGNORED =
            Set.of(
                    "x-api-key",
                    "x-request-id",
                    "x-forwarded-for",
                    "x-forwarded-proto",
                    "x-real-ip");

    private final Cache<Key, Answer> answers;

    /**
     * Constructs a new {@code ResponseCache} instance.
     *
     * @param bytes what the answers and their requests may take together
     * @param time how long one is kept
     * @param ticker the time in nanoseconds
     * @throws LoraConfigurationException if a value is not above 0
     */
    public ResponseCache(long bytes, Duration time, LongSupplier ticker) {
        if (bytes < 1 || time.isZero() || time.isNegative()) {
            throw new LoraConfigurationException(
                    "the cache's bytes and time are "
                            + bytes
                            + " and "
                            + time
                            + "; both must be above 0");
        }
        answers =
                Caffeine.newBuilder()
                        .maximumWeight(bytes)
                        .weigher(
                                (Key key, Answer answer) ->
                                        key.body.length() * 2 + answer.response.body().length + 512)
                        .expireAfterWrite(time)
                        .ticker(ticker::getAsLong)
                        .build();
    }

    /** What makes requests the same. */
    private record Key(
            String route,
            Map<String, String> variables,
            Map<String, List<String>> query,
            Map<String, List<String>> headers,
            String tenant,
            String fallback,
            String body) {}

    /** An answer, and who gave it. */
    private record Answer(Response.Whole response, String adapter, String revision) {}

    /**
     * Returns what stands before the routes.
     *
     * @param model what is served
     * @param targets what names lead to
     * @return the filter
     */
    public Filter filter(ServedModel model, AdapterTargets targets) {
        return new Stored(model.adapters().getRegistry(), targets);
    }

    /** Answers what is kept, and keeps what is answered. */
    private final class Stored implements Filter {

        private final AdapterRegistry registry;
        private final AdapterTargets targets;

        Stored(AdapterRegistry registry, AdapterTargets targets) {
            this.registry = registry;
            this.targets = targets;
        }

        /** {@inheritDoc} */
        @Override
        public CompletionStage<Response> filter(Request request, Route route, Handler next) {
            Optional<Key> key = key(request, route);
            if (key.isEmpty()) {
                return next.handle(request);
            }
            Answer kept = answers.getIfPresent(key.get());
            if (kept != null
                    && request.caller().adapters().test(kept.adapter)
                    && isCurrent(kept.adapter, kept.revision)) {
                return CompletableFuture.completedFuture(kept.response.with(HEADER, "hit"));
            }
            return next.handle(request)
                    .thenApply(
                            response -> {
                                keep(key.get(), response);
                                return response.status() == 200
                                        ? response.with(HEADER, "miss")
                                        : response;
                            });
        }

        private Optional<Key> key(Request request, Route route) {
            if (route.method() != Method.POST
                    || route.permission() != Permission.INFER
                    || !(request.body() instanceof Body.InMemory body)) {
                return Optional.empty();
            }
            try {
                String text = body.text();
                if (!hasOneAnswer(StrictJson.parseObject(text, "the body"))) {
                    return Optional.empty();
                }
                return Optional.of(
                        new Key(
                                route.path().toString(),
                                request.variables(),
                                request.query(),
                                relevant(request.headers()),
                                request.caller().tenant(),
                                targets.defaultAdapter(),
                                text));
            } catch (LoraConfigurationException | HttpFailure e) {
                // its route says what is wrong with it
                return Optional.empty();
            }
        }

        private void keep(Key key, Response response) {
            if (!(response instanceof Response.Whole whole) || whole.status() != 200) {
                return;
            }
            String adapter = whole.headers().get(RequestOutcome.ADAPTER);
            String revision = whole.headers().get(RequestOutcome.REVISION);
            if (adapter != null && revision != null && isCurrent(adapter, revision)) {
                answers.put(key, new Answer(whole, adapter, revision));
            }
        }

        /* What is no single adapter's, such as a stack, is not kept: it has several revisions. */
        private boolean isCurrent(String adapter, String revision) {
            if (adapter.isEmpty()) {
                return true;
            }
            return registry.find(adapter)
                    .filter(known -> !known.retired())
                    .filter(known -> known.current().hash().equals(revision))
                    .filter(known -> targets.canary(known.name()).isEmpty())
                    .isPresent();
        }
    }

    private static boolean hasOneAnswer(JsonObject body) {
        if (flag(body, "stream")) {
            return false;
        }
        JsonElement parameters = body.get("parameters");
        return isDetermined(body)
                || parameters != null
                        && parameters.isJsonObject()
                        && isDetermined(parameters.getAsJsonObject());
    }

    private static boolean flag(JsonObject body, String name) {
        JsonElement value = body.get(name);
        return value != null && !value.isJsonNull() && !"false".equals(value.toString());
    }

    private static boolean isDetermined(JsonObject fields) {
        JsonElement temperature = fields.get("temperature");
        boolean greedy =
                temperature != null
                        && temperature.isJsonPrimitive()
                        && temperature.getAsJsonPrimitive().isNumber()
                        && temperature.getAsDouble() == 0;
        JsonElement seed = fields.get("seed");
        return greedy || seed != null && seed.isJsonPrimitive();
    }

    private static Map<String, List<String>> relevant(Map<String, List<String>> headers) {
        Map<String, List<String>> relevant = new TreeMap<>();
        headers.forEach(
                (name, values) -> {
                    if (name.startsWith("x-") && !IGNORED.contains(name)) {
                        relevant.put(name, values);
                    }
                });
        return relevant;
    }
}
