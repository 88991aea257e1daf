/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.wlm.WorkLoadManager;
import ai.djl.serving.workflow.Workflow;
import ai.djl.serving.workflow.WorkflowExpression;
import ai.djl.serving.workflow.WorkflowExpression.Item;
import ai.djl.serving.workflow.function.WorkflowFunction;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Chooses the adapter of a request by rules: {@code ["route", "name of the route", "in"]}.
 *
 * <p>{@code configs.routes} has for each route its {@code model}; {@code rules}, of which the first
 * that matches names the {@code adapter}: by {@code tenant}, by {@code header} or {@code field} and
 * the value that it {@code equals}, by {@code prefix} of the texts, and by {@code percentage} of
 * the sessions; {@code default} where none matches, the base model unless it says otherwise; {@code
 * fallback} where the adapter cannot be had; {@code tenantHeader} and {@code sessionHeader}; and
 * {@code strip}, fields of the body that are there for the rules alone.
 */
public final class RoutingWorkflowFunction extends WorkflowFunction {

    private static final String ROUTES = "routes";

    private final Map<String, Route> routes = new ConcurrentHashMap<>();

    /** Constructs a new {@code RoutingWorkflowFunction} instance. */
    public RoutingWorkflowFunction() {
        // for the server, which makes functions by their names
    }

    /** {@inheritDoc} */
    @Override
    public void prepare(WorkLoadManager wlm, Map<String, Map<String, Object>> configs) {
        if (configs == null || !configs.containsKey(ROUTES)) {
            throw new IllegalArgumentException("configs.routes is missing; a route is needed");
        }
        configs.get(ROUTES)
                .forEach(
                        (name, config) ->
                                routes.put(
                                        name,
                                        Route.of(
                                                ConfigObject.of(
                                                        "configs.routes." + name, config))));
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Item> run(
            Workflow.WorkflowExecutor executor, List<Workflow.WorkflowArgument> args) {
        if (args.size() != 2) {
            throw new IllegalArgumentException(
                    "A routing function has two arguments, a route and an input; found "
                            + args.size());
        }
        String name = args.get(0).getItem().getString();
        Route route = routes.get(name);
        if (route == null) {
            throw new IllegalArgumentException(
                    "configs.routes has no route " + name + "; it has " + routes.keySet());
        }
        return args.get(1)
                .evaluate()
                .thenCompose(
                        item ->
                                route.answer(
                                        item.getInput(),
                                        input -> answer(executor, route.model(), input)))
                .thenApply(Item::new);
    }

    private static CompletableFuture<Output> answer(
            Workflow.WorkflowExecutor executor, String model, Input input) {
        return executor.executeExpression(new WorkflowExpression(new Item(model), new Item(input)))
                .thenApply(item -> (Output) item.getInput());
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        routes.clear();
    }
}
