/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraContext;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The adapters of one model by name. Each is loaded, checked against the model and made resident
 * when it is registered, and reached through leases alone.
 */
public final class AdapterStore implements AutoCloseable {

    private final LoraContext context;
    private final Map<String, ResidentAdapter> adapters = new TreeMap<>();
    private final Set<String> loading = new TreeSet<>();
    private boolean closed;

    /**
     * Constructs a new {@code AdapterStore} instance.
     *
     * @param context the model's context
     */
    public AdapterStore(LoraContext context) {
        this.context = context;
    }

    /**
     * Loads an adapter from a folder in PEFT's layout and makes it resident.
     *
     * @param name the name under which requests will ask for it
     * @param directory the folder with {@code adapter_config.json} and {@code
     *     adapter_model.safetensors}
     * @return what was applied
     * @throws LoraConfigurationException if the name is blank or taken, or a file is missing or
     *     broken
     * @throws ai.djl.lora.LoraException if the adapter does not fit the model or is of an
     *     unsupported kind
     */
    public LoadReport register(String name, Path directory) {
        reserve(name);
        try {
            LoraAdapter adapter = AdapterLoader.load(directory, context.getModules());
            int slot =
                    context.getTable().put(adapter.pack(context.getModules(), context.getType()));
            publish(new ResidentAdapter(name, adapter.revision(), slot, adapter.report()));
            return adapter.report();
        } finally {
            synchronized (this) {
                loading.remove(name);
            }
        }
    }

    private synchronized void reserve(String name) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException("An adapter's name must not be blank");
        }
        checkOpen();
        if (adapters.containsKey(name) || !loading.add(name)) {
            throw new LoraConfigurationException(
                    "Adapter \"" + name + "\" is registered already; unregister it first");
        }
    }

    private synchronized void publish(ResidentAdapter adapter) {
        if (closed) {
            adapter.retire();
            freeIfGarbage(adapter);
            checkOpen();
        }
        adapters.put(adapter.name(), adapter);
    }

    /**
     * Takes an adapter's name away. Its memory is freed when the last lease is closed.
     *
     * @param name the name
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public synchronized void unregister(String name) {
        ResidentAdapter adapter = find(name);
        adapters.remove(name);
        adapter.retire();
        freeIfGarbage(adapter);
    }

    /**
     * Leases an adapter.
     *
     * @param name the adapter's name
     * @return the lease, to be closed by the caller
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public synchronized AdapterLease acquire(String name) {
        ResidentAdapter adapter = find(name);
        adapter.lease();
        return new AdapterLease(this, adapter);
    }

    /**
     * Returns the names of the registered adapters.
     *
     * @return the names, sorted
     */
    public synchronized Set<String> names() {
        return Collections.unmodifiableSet(new TreeSet<>(adapters.keySet()));
    }

    /**
     * Returns what was applied when an adapter was registered.
     *
     * @param name the adapter's name
     * @return the report
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public synchronized LoadReport report(String name) {
        return find(name).report();
    }

    /** Takes every name away. What is still leased is freed when its last lease is closed. */
    @Override
    public synchronized void close() {
        closed = true;
        for (String name : new ArrayList<>(adapters.keySet())) {
            unregister(name);
        }
    }

    synchronized void release(ResidentAdapter adapter) {
        adapter.release();
        freeIfGarbage(adapter);
    }

    private ResidentAdapter find(String name) {
        ResidentAdapter adapter = adapters.get(name);
        if (adapter == null) {
            throw new LoraConfigurationException(
                    "Unknown adapter \"" + name + "\"; registered are " + adapters.keySet());
        }
        return adapter;
    }

    private void freeIfGarbage(ResidentAdapter adapter) {
        if (adapter.isGarbage() && !context.isClosed()) {
            context.getTable().remove(adapter.slot());
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The adapter store is closed");
        }
    }
}
