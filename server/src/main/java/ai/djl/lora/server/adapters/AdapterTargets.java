/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.registry.RegisteredAdapter;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;

/** Says which of the store's adapters a request gets by what it asked for. */
public final class AdapterTargets {

    private final AdapterStore store;
    private final AtomicReference<String> fallback = new AtomicReference<>("");
    private final Map<String, Canary> canaries = new ConcurrentHashMap<>();

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
        if (name.isEmpty() || canaries.isEmpty()) {
            return name;
        }
        String own = store.getRegistry().find(name).map(RegisteredAdapter::name).orElse(name);
        Canary canary = canaries.get(own);
        return canary != null && canary.takes(session) ? canary.candidate().getRequestName() : name;
    }

    /**
     * Returns the revision that some of an adapter's requests get to try it.
     *
     * @param adapter the adapter's own name
     * @return the canary; empty where all requests get the same
     */
    public Optional<Canary> canary(String adapter) {
        return Optional.ofNullable(canaries.get(adapter));
    }

    /**
     * Gives some of an adapter's requests another revision from now on.
     *
     * @param canary the revision, and how many get it
     */
    void setCanary(Canary canary) {
        canaries.put(canary.candidate().getName(), canary);
    }

    /** Gives all of an adapter's requests the same again. */
    void endCanary(String adapter) {
        canaries.remove(adapter);
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
