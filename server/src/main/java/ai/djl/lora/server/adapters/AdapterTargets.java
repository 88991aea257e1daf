/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import java.util.concurrent.atomic.AtomicReference;

/** Says which of the store's adapters a request gets by what it asked for. */
public final class AdapterTargets {

    private final AdapterStore store;
    private final AtomicReference<String> fallback = new AtomicReference<>("");

    /**
     * Constructs a new {@code AdapterTargets} instance.
     *
     * @param store the adapters
     */
    public AdapterTargets(AdapterStore store) {
        this.store = store;
    }

    /**
     * Returns whether requests can ask for an adapter by a name: that of an adapter, an alias or a
     * stack.
     *
     * @param name the name
     * @return whether there is one
     */
    public boolean has(String name) {
        return store.names().contains(name)
                || store.stackNames().contains(name)
                || store.getRegistry().aliases().containsKey(name);
    }

    /**
     * Returns what the store is asked for.
     *
     * @param name the name that a request gave; "" for the base model
     * @param session what requests have in common that must get the same revision; "" for nothing
     * @return the name in the store; "" for the base model
     */
    public String target(String name, String session) {
        return name;
    }

    /**
     * Returns what requests get that ask for nothing.
     *
     * @return the adapter's name; "" for the base model
     */
    public String defaultAdapter() {
        return fallback.get();
    }

    /**
     * Sets what requests get that ask for nothing.
     *
     * @param name the adapter's name; "" for the base model
     * @throws LoraConfigurationException if there is no such adapter
     */
    public void setDefaultAdapter(String name) {
        if (!name.isEmpty() && !has(name)) {
            throw new LoraConfigurationException("there is no adapter " + name);
        }
        fallback.set(name);
    }
}
