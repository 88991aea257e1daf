/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.DirectoryWatcher;
import java.util.Optional;

/**
 * A model's adapters as a file configures them: the store, its registry, and the directory that is
 * watched. Ends with the model's context at the latest.
 */
public final class Residency implements AutoCloseable {

    private final ResidencyConfig config;
    private final AdapterRegistry registry;
    private final AdapterStore store;
    private DirectoryWatcher watcher;

    Residency(ResidencyConfig config, LoraContext context) {
        this.config = config;
        registry =
                config.getRegistryDirectory()
                        .map(
                                directory ->
                                        AdapterRegistry.open(
                                                directory, config.getRegistryOptions()))
                        .orElseGet(() -> AdapterRegistry.inMemory(config.getRegistryOptions()));
        boolean open = false;
        try {
            store = new AdapterStore(context, config.getOptions(), registry);
            open = true;
        } finally {
            if (!open) {
                registry.close();
            }
        }
        context.addEnding(this::close);
    }

    /**
     * Returns the store.
     *
     * @return the store, closed with this
     */
    public AdapterStore getStore() {
        return store;
    }

    /**
     * Returns what watches a directory.
     *
     * @return the watcher; empty where none is configured, or before {@link #start}
     */
    public synchronized Optional<DirectoryWatcher> getWatcher() {
        return Optional.ofNullable(watcher);
    }

    /**
     * Registers the adapters that the file names and that are not on record yet, begins to load
     * what was asked for most before, and to watch. To be called when the model has all its layers.
     *
     * @throws ai.djl.lora.LoraException if an adapter that is named cannot be registered, or the
     *     directory to watch is none
     */
    public synchronized void start() {
        for (ResidencyConfig.Adapter adapter : config.getAdapters()) {
            if (!store.names().contains(adapter.name())) {
                store.register(adapter.name(), adapter.source(), adapter.settings());
            }
        }
        if (config.isWarmStart()) {
            store.warmStart();
        }
        watcher = config.getWatched().map(this::watch).orElse(null);
    }

    private DirectoryWatcher watch(ResidencyConfig.Watched watched) {
        StoreArrivals arrivals = new StoreArrivals(store, watched.directory());
        return DirectoryWatcher.builder()
                .setDirectory(watched.directory())
                .setArrivals(arrivals)
                .optSettleTime(watched.settleTime())
                .optScanInterval(watched.scanInterval())
                .optRetryAfter(watched.retryAfter())
                .optKnown(arrivals.known())
                .start();
    }

    /** Ends everything; what is leased is freed when its last lease is closed. */
    @Override
    public synchronized void close() {
        if (watcher != null) {
            watcher.close();
        }
        store.close();
        registry.close();
    }
}
