/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.Handler;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Observers;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Stands before all routes: finds out who sends a request, refuses what the caller may not do or
 * asks for too often, and tells what came of it.
 */
public final class Gate implements Filter {

    private static final String CHALLENGE = "Bearer realm=\"djl-lora\"";

    private final List<Authenticator> authenticators;
    private final RateLimits limits;
    private final Observers observers;

    /**
     * Constructs a new {@code Gate} instance.
     *
     * @param authenticators who knows callers; if there are none, anybody on this machine may do
     *     everything
     * @param limits how often the server may be asked
     * @param observers who is told
     */
    public Gate(List<Authenticator> authenticators, RateLimits limits, Observers observers) {
        this.authenticators = List.copyOf(authenticators);
        this.limits = limits;
        this.observers = observers;
    }

    /** {@inheritDoc} */
    @Override
    public CompletionStage<Response> filter(Request request, Route route, Handler next) {
        Instant start = Instant.now();
        long startNanos = System.nanoTime();
        Request known = request;
        CompletionStage<Response> answer;
        try {
            known = identify(request, route);
            authorize(known, route);
            if (route.permission() != Permission.NONE) {
                limits.admit(known.caller(), known.remote());
            }
            answer = next.handle(known);
        } catch (HttpFailure e) {
            answer =
                    CompletableFuture.completedFuture(
                            Dispatcher.failed(request.id(), route.errors(), e));
        }
        Request told = known;
        return answer.thenApply(
                response -> observers.watch(told, route, start, startNanos, response));
    }

    /**
     * Refuses a request whose content has not come yet, if its caller may not send it.
     *
     * @param request the request, without its content
     * @param route its route
     * @throws HttpFailure why it is refused
     */
    public void check(Request request, Route route) {
        authorize(identify(request, route), route);
    }

    private Request identify(Request request, Route route) {
        if (authenticators.isEmpty()) {
            LocalOrigin.check(request);
            return request.from(Caller.ANYBODY);
        }
        if (route.permission() != Permission.NONE) {
            return request.from(caller(request));
        }
        try {
            return request.from(caller(request));
        } catch (HttpFailure e) {
            // who is not known may come here too
            return request;
        }
    }

    private Caller caller(Request request) {
        String credential =
                credential(request)
                        .orElseThrow(
                                () ->
                                        unknown(
                                                "the request has no key; send it as"
                                                        + " Authorization: Bearer KEY"));
        return authenticators.stream()
                .map(authenticator -> authenticator.authenticate(credential))
                .flatMap(Optional::stream)
                .findFirst()
                .orElseThrow(() -> unknown("the key is not known here"));
    }

    private static HttpFailure unknown(String why) {
        return new HttpFailure(
                401, "invalid_api_key", why, null, Map.of("WWW-Authenticate", CHALLENGE), null);
    }

    private static Optional<String> credential(Request request) {
        Optional<String> bearer =
                request.header("authorization").map(Gate::bearer).filter(key -> !key.isEmpty());
        Optional<String> key = request.header("x-api-key").map(String::trim);
        if (bearer.isPresent() && key.isPresent() && !bearer.equals(key)) {
            throw unknown("Authorization and X-API-Key differ; send one of them");
        }
        return bearer.or(() -> key);
    }

    private static String bearer(String header) {
        String[] parts = header.trim().split("\\s+", 2);
        if (!"bearer".equals(parts[0].toLowerCase(Locale.ROOT)) || parts.length < 2) {
            throw unknown("Authorization is not of the form Bearer KEY");
        }
        return parts[1];
    }

    private static void authorize(Request request, Route route) {
        if (!request.caller().may(route.permission())) {
            throw new HttpFailure(
                    403,
                    "permission_denied",
                    "this needs the role "
                            + route.permission().name().toLowerCase(Locale.ROOT)
                            + ", which the key does not have");
        }
    }
}
