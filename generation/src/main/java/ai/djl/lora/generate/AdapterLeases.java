/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.AdapterMix;
import java.util.HashMap;
import java.util.Map;

/** The leases of requests that run together: one for each distinct adapter. */
final class AdapterLeases implements AutoCloseable {

    private final AdapterStore store;
    private final Map<String, AdapterLease> leases = new HashMap<>();

    /**
     * Constructs a new {@code AdapterLeases} instance.
     *
     * @param store the model's adapters
     */
    AdapterLeases(AdapterStore store) {
        this.store = store;
    }

    /**
     * Returns what a request's adapter adds to the base model, and leases the adapter if no request
     * before did.
     *
     * @param adapter the name of the adapter or stack, empty for the base model
     * @return the mix
     * @throws ai.djl.lora.LoraException if there is none of that name, or it cannot be had
     */
    AdapterMix mix(String adapter) {
        return adapter.isEmpty()
                ? AdapterMix.BASE
                : leases.computeIfAbsent(adapter, store::acquire).getMix();
    }

    /** Gives all leases back. */
    @Override
    public void close() {
        leases.values().forEach(AdapterLease::close);
    }
}
