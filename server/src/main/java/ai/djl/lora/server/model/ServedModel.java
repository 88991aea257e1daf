/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.model;

import ai.djl.ModelException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.config.DeviceName;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.server.replica.ReplicaOptions;
import ai.djl.lora.server.replica.Replicas;
import ai.djl.lora.translate.TextGenerator;
import ai.djl.lora.translate.TextTokenizer;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.NoopTranslator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/** A model that is served, with its tokenizer, its engines and its adapters. */
public final class ServedModel implements AutoCloseable {

    private final String name;
    private final ZooModel<?, ?> model;
    private final CausalLanguageModel block;
    private final TextTokenizer tokenizer;
    private final Replicas replicas;
    private final TextGenerator text;
    private final Instant created = Instant.now();
    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * Constructs a new {@code ServedModel} instance.
     *
     * @param name the name by which requests ask for the base model
     * @param model the model, which this closes
     * @param defaults the sampling of requests that name none
     * @throws LoraConfigurationException if the model generates no text, or has no tokenizer
     */
    public ServedModel(String name, ZooModel<?, ?> model, SamplingParameters defaults) {
        this(name, model, defaults, EngineOptions.builder());
    }

    /**
     * Constructs a new {@code ServedModel} instance.
     *
     * @param name the name by which requests ask for the base model
     * @param model the model, which this closes; its engine must not have been used
     * @param defaults the sampling of requests that name none
     * @param options what the engine is to be like; recorders are told by {@link #replicas}
     * @throws LoraConfigurationException if the model generates no text, or has no tokenizer
     */
    public ServedModel(
            String name,
            ZooModel<?, ?> model,
            SamplingParameters defaults,
            EngineOptions.Builder options) {
        this(name, model, defaults, options, ReplicaOptions.of(1));
    }

    /**
     * Constructs a new {@code ServedModel} instance.
     *
     * @param name the name by which requests ask for the base model
     * @param model the model, which this closes; its engine must not have been used
     * @param defaults the sampling of requests that name none
     * @param options what each engine is to be like; recorders are told by {@link #replicas}
     * @param replicas how many engines there are, and which gets a request
     * @throws LoraConfigurationException if the model generates no text, or has no tokenizer
     */
    public ServedModel(
            String name,
            ZooModel<?, ?> model,
            SamplingParameters defaults,
            EngineOptions.Builder options,
            ReplicaOptions replicas) {
        if (!(model.getBlock() instanceof CausalLanguageModel language)) {
            throw new LoraConfigurationException(
                    "model " + name + " generates no text; a causal language model is needed");
        }
        this.name = name;
        this.model = model;
        this.block = language;
        this.tokenizer = TextTokenizer.open(model.getModelPath(), model.getNDManager());
        this.replicas = new Replicas(block, options, replicas);
        this.text =
                new TextGenerator(
                        submission -> this.replicas.submit("", submission),
                        model.getModelPath(),
                        tokenizer,
                        defaults);
    }

    /**
     * Loads a model.
     *
     * @param name the name by which requests ask for the base model
     * @param folder the model's folder, in Hugging Face layout
     * @param arguments how it is loaded, such as {@code dtype}, {@code device} (see {@link
     *     DeviceName}; the CPU by default), {@code backend} and {@code residency}
     *     (docs/residency.md)
     * @param defaults the sampling of requests that name none
     * @return the model
     * @throws LoraConfigurationException if it is no model, or an argument is wrong
     */
    public static ServedModel load(
            String name, Path folder, Map<String, String> arguments, SamplingParameters defaults) {
        return load(name, folder, arguments, defaults, ReplicaOptions.of(1));
    }

    /**
     * Loads a model.
     *
     * @param name the name by which requests ask for the base model
     * @param folder the model's folder, in Hugging Face layout
     * @param arguments how it is loaded, such as {@code dtype}, {@code device} (see {@link
     *     DeviceName}; the CPU by default), {@code backend} and {@code residency}
     *     (docs/residency.md)
     * @param defaults the sampling of requests that name none
     * @param replicas how many engines answer, and which gets a request
     * @return the model
     * @throws LoraConfigurationException if it is no model, or an argument is wrong
     */
    public static ServedModel load(
            String name,
            Path folder,
            Map<String, String> arguments,
            SamplingParameters defaults,
            ReplicaOptions replicas) {
        if (!Files.isRegularFile(folder.resolve("config.json"))) {
            throw new LoraConfigurationException(
                    folder + " has no config.json; a model in Hugging Face layout is needed");
        }
        String device = arguments.get(DeviceName.ARGUMENT);
        Criteria.Builder<NDList, NDList> criteria =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optEngine("PyTorch")
                        .optDevice(DeviceName.parse(device == null ? "cpu" : device))
                        .optTranslator(new NoopTranslator())
                        .optModelPath(folder);
        arguments.forEach(
                (key, value) -> {
                    if (!key.equals(DeviceName.ARGUMENT)) {
                        criteria.optArgument(key, value);
                    }
                });
        ZooModel<NDList, NDList> model;
        try {
            model = criteria.build().loadModel();
        } catch (IOException | ModelException e) {
            if (e.getCause() instanceof LoraException reason) {
                throw reason;
            }
            throw new LoraConfigurationException(
                    folder + " cannot be loaded: " + e.getMessage(), e);
        }
        try {
            return new ServedModel(name, model, defaults, EngineOptions.builder(), replicas);
        } catch (LoraException e) {
            model.close();
            throw e;
        }
    }

    /**
     * Returns the name by which requests ask for the base model.
     *
     * @return the name
     */
    public String name() {
        return name;
    }

    /**
     * Returns the model's folder.
     *
     * @return the folder
     */
    public Path folder() {
        return model.getModelPath();
    }

    /**
     * Returns what computes.
     *
     * @return the block
     */
    public CausalLanguageModel block() {
        return block;
    }

    /**
     * Returns the tokenizer.
     *
     * @return the tokenizer, owned by the model
     */
    public TextTokenizer tokenizer() {
        return tokenizer;
    }

    /**
     * Returns the engines that answer requests.
     *
     * @return the replicas, owned by the model
     */
    public Replicas replicas() {
        return replicas;
    }

    /**
     * Returns the first of the engines, which users of the model beside the server share.
     *
     * @return the engine, owned by the model
     */
    public GenerationEngine engine() {
        return replicas.all().get(0).engine();
    }

    /**
     * Returns what answers requests for text that belong to no session.
     *
     * @return the generator
     */
    public TextGenerator text() {
        return text;
    }

    /**
     * Returns what answers a session's requests for text.
     *
     * @param session what requests have in common whose prompts begin the same; "" for nothing
     * @return the generator
     */
    public TextGenerator text(String session) {
        return text.by(submission -> replicas.submit(session, submission));
    }

    /**
     * Returns the adapters.
     *
     * @return the store, owned by the model
     */
    public AdapterStore adapters() {
        return block.getAdapters();
    }

    /**
     * Returns when the model was loaded.
     *
     * @return the time
     */
    public Instant created() {
        return created;
    }

    /** Ends the engines and closes the model. Has no effect when it is closed. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            replicas.close();
            model.close();
        }
    }
}
