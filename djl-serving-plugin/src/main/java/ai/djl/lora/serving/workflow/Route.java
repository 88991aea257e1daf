/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * How the requests to a model find their adapters: by the first rule that matches, or else the
 * default. A request that names an adapter itself keeps it.
 */
final class Route {

    /** The header of an answer that says which adapter could not be had. */
    static final String FALLBACK = "X-Djl-Lora-Fallback-From";

    private static final int FAILED_DEPENDENCY = 424;

    private final String model;
    private final String tenantHeader;
    private final String sessionHeader;
    private final List<RoutingRule> rules;
    private final String otherwise;
    private final Optional<String> fallback;
    private final List<String> strip;

    private Route(ConfigObject config) {
        config.refuseUnknown(
                "model", "tenantHeader", "sessionHeader", "rules", "default", "fallback", "strip");
        model = config.text("model");
        tenantHeader = config.optionalText("tenantHeader").orElse("X-Tenant-Id");
        sessionHeader = config.optionalText("sessionHeader").orElse("X-Session-Id");
        rules = config.objects("rules").stream().map(RoutingRule::of).toList();
        otherwise = config.optionalText("default").orElse("");
        fallback = config.optionalText("fallback");
        strip = config.textList("strip");
    }

    /**
     * Reads a route.
     *
     * @param config the route
     * @return the route
     * @throws IllegalArgumentException naming what is wrong
     */
    static Route of(ConfigObject config) {
        return new Route(config);
    }

    /** Returns the model that answers. */
    String model() {
        return model;
    }

    /**
     * Returns the adapter that is to answer a request.
     *
     * @param request the request, which names none
     * @return the adapter, "" for the base model
     */
    String choose(RouteRequest request) {
        Optional<String> tenant = request.header(tenantHeader);
        String session =
                request.header(sessionHeader).or(() -> request.header("requestId")).orElse("");
        return rules.stream()
                .filter(rule -> rule.matches(request, tenant, session))
                .findFirst()
                .map(RoutingRule::adapter)
                .orElse(otherwise);
    }

    /**
     * Has a request answered. The input stays the same object, by which the server cancels it.
     *
     * @param input the request
     * @param answer has the model answer
     * @return the answer; the fallback's if the chosen adapter could not be had, and then the
     *     answer says so
     */
    CompletableFuture<Output> answer(
            Input input, Function<Input, CompletableFuture<Output>> answer) {
        RouteRequest request = new RouteRequest(input);
        if (request.namesAdapter()) {
            request.strip(strip);
            return answer.apply(input);
        }
        String adapter = choose(request);
        request.strip(strip);
        request.name(adapter);
        CompletableFuture<Output> first = answer.apply(input);
        if (fallback.isEmpty() || fallback.get().equals(adapter)) {
            return first;
        }
        return first.thenCompose(
                output -> {
                    if (output.getCode() != FAILED_DEPENDENCY) {
                        return CompletableFuture.completedFuture(output);
                    }
                    request.name(fallback.get());
                    return answer.apply(input)
                            .thenApply(
                                    other -> {
                                        other.addProperty(FALLBACK, adapter);
                                        return other;
                                    });
                });
    }
}
