/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.wlm;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.repository.zoo.ZooModel;
import java.util.Map;
import java.util.Properties;

/**
 * A model that is served.
 *
 * @param <I> the type of inputs
 * @param <O> the type of outputs
 */
public final class ModelInfo<I, O> extends WorkerPoolConfig<I, O> {

    /**
     * Declares the constructor.
     *
     * @param modelUrl where the model is
     */
    public ModelInfo(String modelUrl) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns what serving.properties says.
     *
     * @return the properties
     */
    public Properties getProperties() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns the models by device.
     *
     * @return the models
     */
    public Map<Device, ZooModel<I, O>> getModels() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns the engine.
     *
     * @return the engine
     */
    public Engine getEngine() {
        throw new UnsupportedOperationException("a declaration");
    }

    /** {@inheritDoc} */
    @Override
    public Status getStatus() {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Adds an adapter.
     *
     * @param adapter the adapter
     */
    public void registerAdapter(Adapter<I, O> adapter) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Puts an adapter in another's place.
     *
     * @param adapter the adapter
     */
    public void updateAdapter(Adapter<I, O> adapter) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Takes an adapter away.
     *
     * @param name its name
     * @return the adapter
     */
    public Adapter<I, O> unregisterAdapter(String name) {
        throw new UnsupportedOperationException("a declaration");
    }

    /**
     * Returns an adapter.
     *
     * @param name its name
     * @return the adapter, or null
     */
    public Adapter<I, O> getAdapter(String name) {
        throw new UnsupportedOperationException("a declaration");
    }
}
