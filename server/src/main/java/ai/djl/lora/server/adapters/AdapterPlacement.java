/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.server.http.HttpFailure;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Brings adapters to the device before they are asked for, and keeps them there. */
public final class AdapterPlacement {

    private final AdapterStore store;
    private final AdapterNames names;

    AdapterPlacement(AdapterStore store, AdapterNames names) {
        this.store = store;
        this.names = names;
    }

    /**
     * Brings an adapter to the device.
     *
     * @param name its name
     * @return completes when it is there
     * @throws HttpFailure of status 404 if there is none
     */
    public CompletableFuture<Void> prefetch(String name) {
        return store.preload(List.of(names.find(name).name()));
    }

    /**
     * Keeps an adapter on the device, or lets it leave again.
     *
     * @param name its name
     * @param pinned whether it stays
     * @throws HttpFailure of status 404 if there is none
     */
    public void pin(String name, boolean pinned) {
        store.setPinned(names.find(name).name(), pinned);
    }
}
