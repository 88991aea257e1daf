/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.StoreRecorder;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.RegistryListener;
import ai.djl.lora.server.model.ServedModel;
import java.util.ArrayList;
import java.util.List;

/** Those who watch a model while it is served. */
public final class Watchers implements AutoCloseable {

    private final ServedModel model;
    private final List<Registration> registrations = new ArrayList<>();

    /**
     * Constructs a new {@code Watchers} instance.
     *
     * @param model the model
     */
    public Watchers(ServedModel model) {
        this.model = model;
    }

    /**
     * Adds who is told of the engine.
     *
     * @param recorder who is told
     */
    public void addEngine(EngineRecorder recorder) {
        registrations.add(model.replicas().addRecorder(recorder));
    }

    /**
     * Adds who is told of everything.
     *
     * @param watcher who is told
     * @param <T> its type
     */
    public <T extends EngineRecorder & StoreRecorder & RegistryListener> void add(T watcher) {
        addEngine(watcher);
        registrations.add(model.adapters().addRecorder(watcher));
        AdapterRegistry registry = model.adapters().getRegistry();
        registry.addListener(watcher);
        registrations.add(() -> registry.removeListener(watcher));
    }

    /** Tells them no more. */
    @Override
    public void close() {
        registrations.forEach(Registration::close);
        registrations.clear();
    }
}
