/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.BatchPlan;
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
     * Returns the slot of a request's adapter, and leases the adapter if no request before did.
     *
     * @param index the request's place in the batch
     * @param adapter the adapter's name, empty for the base model
     * @return the slot, {@link BatchPlan#BASE} for the base model
     * @throws GenerationRequestException if no such adapter is registered
     */
    int slot(int index, String adapter) {
        if (adapter.isEmpty()) {
            return BatchPlan.BASE;
        }
        try {
            return leases.computeIfAbsent(adapter, store::acquire).getSlot();
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
