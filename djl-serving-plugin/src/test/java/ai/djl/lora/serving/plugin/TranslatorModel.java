/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.inference.Predictor;
import ai.djl.lora.serving.LoraAdapter;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;

/** The demo model behind its own translator, with as much of a server as the handler needs. */
final class TranslatorModel implements ServedModel, AutoCloseable {

    static final Path DEMO = Path.of("../examples/demo").toAbsolutePath().normalize();

    private final ZooModel<Input, Output> model;
    private final Predictor<Input, Output> predictor;
    private final Set<String> known = new TreeSet<>();
    private boolean enabled = true;

    TranslatorModel() throws Exception {
        model =
                Criteria.builder()
                        .setTypes(Input.class, Output.class)
                        .optModelPath(DEMO.resolve("base"))
                        // a plugin sees no class of the project
                        .optArgument(
                                "translatorFactory",
                                "ai.djl.lora.translate.TextGenerationTranslatorFactory")
                        .optArgument("dtype", "float32")
                        .optArgument("max_new_tokens", 16)
                        .build()
                        .loadModel();
        predictor = model.newPredictor();
    }

    void setEnabled(boolean enabled) {
        this.enabled = enabled;
    }

    @Override
    public boolean isEnabled() {
        return enabled;
    }

    @Override
    public boolean knows(String adapter) {
        return known.contains(adapter);
    }

    @Override
    public CompletableFuture<Output> register(
            String name, String alias, String src, Map<String, String> options) {
        LoraAdapter adapter = new LoraAdapter(null, name, alias, src, options);
        return run(adapter.getRegisterAdapterInput())
                .thenApply(
                        output -> {
                            if (output.getCode() == 200) {
                                known.add(name);
                            }
                            return output;
                        });
    }

    @Override
    public CompletableFuture<Output> update(
            String name, String alias, Map<String, String> changes) {
        LoraAdapter adapter = new LoraAdapter(null, name, alias, changes.get("src"), changes);
        return run(adapter.getUpdateAdapterInput());
    }

    @Override
    public CompletableFuture<Output> unregister(String name) {
        known.remove(name);
        return run(new LoraAdapter(null, name, null, null, Map.of()).getUnregisterAdapterInput());
    }

    @Override
    public CompletableFuture<Output> run(Input job) {
        try {
            return CompletableFuture.completedFuture(predictor.predict(job));
        } catch (TranslateException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @Override
    public void close() {
        predictor.close();
        model.close();
    }
}
