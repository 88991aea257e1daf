/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.UnavailablePolicy;
import java.util.HashMap;
import java.util.Map;

/** The leases of requests that run together: one for each distinct adapter. */
final class AdapterLeases implements AutoCloseable {

    private final AdapterStore store;
    private final Map<Key, AdapterLease> leases = new HashMap<>();

    /**
     * Constructs a new {@code AdapterLeases} instance.
     *
     * @param store the model's adapters
     */
    AdapterLeases(AdapterStore store) {
        this.store = store;
    }

    private record Key(String adapter, UnavailablePolicy policy) {}

    /**
     * Returns the lease of an adapter, which is taken if no request before did.
     *
     * @param adapter the name of an adapter or a stack
     * @param policy what happens when it cannot be had; null for what the store says
     * @return the lease, closed with this
     * @throws ai.djl.lora.LoraException if there is none of that name, or it cannot be had
     */
    AdapterLease lease(String adapter, UnavailablePolicy policy) {
        return leases.computeIfAbsent(
                new Key(adapter, policy),
                key -> policy == null ? store.acquire(adapter) : store.acquire(adapter, policy));
    }

    /** Gives all leases back. */
    @Override
    public void close() {
        leases.values().forEach(AdapterLease::close);
    }
}
