/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.lora.serving.LoraAdapter;
import ai.djl.lora.serving.LoraModels;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.wlm.Job;
import ai.djl.serving.wlm.ModelInfo;
import ai.djl.serving.wlm.WorkLoadManager;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * A model in the server's own form.
 *
 * <p>The model's adapters are in its store, which all its workers share; one worker is told. The
 * server is told as well, since it refuses requests with {@code ?adapter=} for what it does not
 * know, and tells each new worker.
 */
final class ServerModel implements ServedModel {

    private static final int FAILURES = 300;

    private final WorkLoadManager manager;
    private final ModelInfo<Input, Output> model;

    /**
     * Constructs a new {@code ServerModel} instance.
     *
     * @param manager runs jobs
     * @param model the model
     */
    ServerModel(WorkLoadManager manager, ModelInfo<Input, Output> model) {
        this.manager = manager;
        this.model = model;
    }

    /** {@inheritDoc} */
    @Override
    public boolean isEnabled() {
        return LoraModels.isEnabled(model);
    }

    /** {@inheritDoc} */
    @Override
    public boolean knows(String adapter) {
        return model.getAdapter(adapter) != null;
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Output> register(
            String name, String alias, String src, Map<String, String> options) {
        LoraAdapter adapter = new LoraAdapter(model, name, alias, src, options);
        return run(adapter.getRegisterAdapterInput())
                .thenApply(
                        output -> {
                            if (output.getCode() < FAILURES) {
                                put(adapter);
                            }
                            return output;
                        });
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Output> update(
            String name, String alias, Map<String, String> changes) {
        LoraAdapter change = new LoraAdapter(model, name, alias, changes.get("src"), changes);
        return run(change.getUpdateAdapterInput())
                .thenCompose(
                        output ->
                                output.getCode() < FAILURES
                                        ? refresh(name).thenApply(done -> output)
                                        : CompletableFuture.completedFuture(output));
    }

    /** Has the server know an adapter as the model knows it now, for workers that are to come. */
    private CompletableFuture<Void> refresh(String name) {
        Input job = LoraAdapter.newJob(LoraAdapter.DESCRIBE);
        job.addProperty("name", name);
        return run(job).thenAccept(output -> put(AdapterAnswers.adapter(model, output)));
    }

    /**
     * Has the server know an adapter.
     *
     * @param adapter the adapter
     */
    void put(LoraAdapter adapter) {
        synchronized (model) {
            if (knows(adapter.getRegisterAdapterInput().getProperty("name", ""))) {
                model.updateAdapter(adapter);
            } else {
                model.registerAdapter(adapter);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Output> unregister(String name) {
        LoraAdapter adapter = new LoraAdapter(model, name, null, null, new HashMap<>());
        return run(adapter.getUnregisterAdapterInput())
                .thenApply(
                        output -> {
                            synchronized (model) {
                                if (output.getCode() < FAILURES && knows(name)) {
                                    model.unregisterAdapter(name);
                                }
                            }
                            return output;
                        });
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Output> run(Input job) {
        return manager.runJob(new Job<>(model, job));
    }
}
