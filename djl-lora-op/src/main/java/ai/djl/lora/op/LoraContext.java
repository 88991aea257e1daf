/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * What the adapted layers of one model share: the backend, the element type, the list of modules
 * and the table of resident adapters.
 *
 * <p>Layers add themselves while the model is built. The first call of {@link #getTable} ends that:
 * adapters are packed for a fixed list of modules.
 */
public final class LoraContext implements AutoCloseable {

    private final LoraBackend backend;
    private final ElementType type;
    private final NDManager manager;
    private final List<LoraModule> modules = new ArrayList<>();
    private AdapterTable table;
    private boolean closed;

    /**
     * Constructs a new {@code LoraContext} instance.
     *
     * @param backend the backend
     * @param type the type of weights and activations
     * @param manager the manager of the model's weights
     * @throws ai.djl.lora.LoraBackendException if the backend does not compute in that type
     */
    public LoraContext(LoraBackend backend, ElementType type, NDManager manager) {
        BackendChecks.supports(backend, type);
        this.backend = backend;
        this.type = type;
        this.manager = manager;
    }

    /**
     * Returns the backend.
     *
     * @return the backend
     */
    public LoraBackend getBackend() {
        return backend;
    }

    /**
     * Returns the backend's tensor operations.
     *
     * @return the operations
     */
    public TensorOps getOps() {
        return backend.getTensorOps();
    }

    /**
     * Returns the type of weights and activations.
     *
     * @return the type
     */
    public ElementType getType() {
        return type;
    }

    /**
     * Returns the manager of the model's weights.
     *
     * @return the manager
     */
    public NDManager getManager() {
        return manager;
    }

    /**
     * Adds a layer that adapters may change.
     *
     * @param name the layer's path in the checkpoint, without {@code .weight}
     * @param inFeatures the number of inputs
     * @param outFeatures the number of outputs
     * @return the module
     */
    public synchronized LoraModule addModule(String name, int inFeatures, int outFeatures) {
        if (table != null) {
            throw new IllegalStateException(
                    "Module " + name + " comes too late: the adapter table is in use");
        }
        if (inFeatures < 1 || outFeatures < 1) {
            throw new IllegalArgumentException(
                    "Module " + name + " has shape [" + outFeatures + ", " + inFeatures + "]");
        }
        if (modules.stream().anyMatch(module -> module.name().equals(name))) {
            throw new IllegalArgumentException("Module " + name + " is there already");
        }
        LoraModule module = new LoraModule(modules.size(), name, inFeatures, outFeatures);
        modules.add(module);
        return module;
    }

    /**
     * Returns the modules, each at its own index.
     *
     * @return the modules
     */
    public synchronized List<LoraModule> getModules() {
        return Collections.unmodifiableList(new ArrayList<>(modules));
    }

    /**
     * Returns the table of resident adapters.
     *
     * @return the table, owned by this context
     */
    public synchronized AdapterTable getTable() {
        if (closed) {
            throw new IllegalStateException("The model is closed");
        }
        if (table == null) {
            table = backend.newTable(manager, modules, type);
        }
        return table;
    }

    /**
     * Returns whether the table has been freed.
     *
     * @return whether this context is closed
     */
    public synchronized boolean isClosed() {
        return closed;
    }

    /** Frees the table. */
    @Override
    public synchronized void close() {
        closed = true;
        if (table != null) {
            table.close();
            table = null;
        }
    }
}
