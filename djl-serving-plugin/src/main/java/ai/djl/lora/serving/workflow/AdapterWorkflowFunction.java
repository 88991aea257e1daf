/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import ai.djl.lora.serving.LoraAdapter;
import ai.djl.lora.serving.LoraModels;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.wlm.Adapter;
import ai.djl.serving.wlm.ModelInfo;
import ai.djl.serving.wlm.WorkLoadManager;
import ai.djl.serving.wlm.WorkerPool;
import ai.djl.serving.workflow.Workflow;
import ai.djl.serving.workflow.WorkflowExpression;
import ai.djl.serving.workflow.WorkflowExpression.Item;
import ai.djl.serving.workflow.function.WorkflowFunction;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has a named adapter of a model answer: {@code ["adapter", "name of the adapter", "in"]}.
 *
 * <p>Its configuration is that of the server's own function of this name, which refuses all models
 * but Python's: {@code configs.adapters} has for each adapter its {@code model}, its {@code src}
 * and {@code options}. A workflow that names this class {@code adapter} among its functions has it
 * in place of the server's. Models of other engines are handled as the server does.
 *
 * <p>An adapter that cannot be registered is answered with its reason where it is asked for; the
 * other adapters of the workflow are not touched by it.
 */
public final class AdapterWorkflowFunction extends WorkflowFunction {

    private static final Logger logger = LoggerFactory.getLogger(AdapterWorkflowFunction.class);

    private static final String ADAPTERS = "adapters";
    private static final int FAILED_DEPENDENCY = 424;
    private static final int FAILURES = 300;

    private final Map<String, Reference> references = new ConcurrentHashMap<>();
    private volatile WorkLoadManager manager;

    /** Constructs a new {@code AdapterWorkflowFunction} instance. */
    public AdapterWorkflowFunction() {
        // for the server, which makes functions by their names
    }

    /** An adapter of the workflow, and what came of registering it. */
    private record Reference(
            String model,
            Adapter<Input, Output> adapter,
            ModelInfo<Input, Output> info,
            CompletableFuture<Output> registered) {}

    /** {@inheritDoc} */
    @Override
    public void prepare(WorkLoadManager wlm, Map<String, Map<String, Object>> configs) {
        manager = wlm;
        if (configs == null || !configs.containsKey(ADAPTERS)) {
            return;
        }
        configs.get(ADAPTERS)
                .forEach(
                        (name, config) -> {
                            ConfigObject object =
                                    ConfigObject.of("configs.adapters." + name, config);
                            references.put(name, register(wlm, name, object));
                        });
    }

    private static Reference register(WorkLoadManager wlm, String name, ConfigObject config) {
        config.refuseUnknown("model", "src", "options");
        String model = config.text("model");
        String src = config.text("src");
        Map<String, String> options = config.texts("options");
        WorkerPool<Input, Output> pool = wlm.getWorkerPoolById(model);
        if (pool == null || !(pool.getWpc() instanceof ModelInfo<Input, Output> info)) {
            throw new IllegalArgumentException(
                    "configs.adapters."
                            + name
                            + " names the model "
                            + model
                            + ", which is not there");
        }
        Adapter<Input, Output> adapter =
                LoraModels.isOurs(info)
                        ? new LoraAdapter(info, name, null, src, options)
                        : Adapter.newInstance(info, name, name, src, new HashMap<>(options));
        CompletableFuture<Output> registered =
                adapter.register(wlm)
                        .handle(
                                (output, failure) -> {
                                    Output answer = failure == null ? output : failed(failure);
                                    if (answer.getCode() < FAILURES) {
                                        put(info, name, adapter);
                                    } else {
                                        logger.error(
                                                "Adapter {} of the workflow cannot be used: {}",
                                                name,
                                                answer.getMessage());
                                    }
                                    return answer;
                                });
        return new Reference(model, adapter, info, registered);
    }

    private static void put(
            ModelInfo<Input, Output> info, String name, Adapter<Input, Output> adapter) {
        synchronized (info) {
            if (info.getAdapter(name) == null) {
                info.registerAdapter(adapter);
            } else {
                info.updateAdapter(adapter);
            }
        }
    }

    private static Output failed(Throwable failure) {
        return new Output(FAILED_DEPENDENCY, String.valueOf(failure.getMessage()));
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Item> run(
            Workflow.WorkflowExecutor executor, List<Workflow.WorkflowArgument> args) {
        if (args.size() != 2) {
            throw new IllegalArgumentException(
                    "The function adapter has two arguments, an adapter and an input; found "
                            + args.size());
        }
        String name = args.get(0).getItem().getString();
        Reference reference = references.get(name);
        if (reference == null) {
            Output unknown =
                    new Output(
                            FAILED_DEPENDENCY,
                            "The workflow has no adapter " + name + " in configs.adapters");
            return CompletableFuture.completedFuture(new Item(unknown));
        }
        return reference
                .registered()
                .thenCompose(
                        output ->
                                output.getCode() < FAILURES
                                        ? answer(executor, args.get(1), name, reference)
                                        : CompletableFuture.completedFuture(new Item(output)));
    }

    private static CompletableFuture<Item> answer(
            Workflow.WorkflowExecutor executor,
            Workflow.WorkflowArgument argument,
            String name,
            Reference reference) {
        return argument.evaluate()
                .thenCompose(
                        item -> {
                            Input input = item.getInput();
                            input.add("adapter", name);
                            return executor.executeExpression(
                                    new WorkflowExpression(
                                            new Item(reference.model()), new Item(input)));
                        });
    }

    /** Takes the workflow's adapters away again. */
    @Override
    public void close() {
        references.forEach(
                (name, reference) -> {
                    if (manager.getWorkerPoolById(reference.model()) != null
                            && reference.info().getAdapter(name) == reference.adapter()) {
                        Adapter.unregister(reference.adapter(), reference.info(), manager);
                        reference.info().unregisterAdapter(name);
                    }
                });
        references.clear();
    }
}
