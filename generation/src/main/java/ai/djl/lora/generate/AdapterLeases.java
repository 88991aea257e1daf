/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.AdapterMix;
import java.util.LinkedHashMap;
import java.util.Map;

/** The leases of a batch: one for each distinct adapter, held for the whole generation. */
final class AdapterLeases implements AutoCloseable {

    private final AdapterStore store;
    private final Map<String, AdapterLease> leases = new LinkedHashMap<>();

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
     * @param index the request's place in the batch
     * @param adapter the name of the adapter or stack, empty for the base model
     * @return the mix
     * @throws GenerationRequestException if no such adapter is registered
     */
    AdapterMix mix(int index, String adapter) {
        if (adapter.isEmpty()) {
            return AdapterMix.BASE;
        }
        try {
            return leases.computeIfAbsent(adapter, store::acquire).getMix();
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }

    /** Gives all leases back. */
    @Override
    public void close() {
        leases.values().forEach(AdapterLease::close);
    }
}
