/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.DirectoryWatcher;
import ai.djl.lora.registry.RegisteredAdapter;
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
     * Registers the adapters that the file names, begins to load what was asked for most before,
     * and to watch. An adapter that is on record from the same place is not read again for that. To
     * be called when the model has all its layers.
     *
     * @throws ai.djl.lora.LoraException if an adapter that is named cannot be registered, or the
     *     directory to watch is none
     */
    public synchronized void start() {
        config.getAdapters().forEach(this::register);
        if (config.isWarmStart()) {
            store.warmStart();
        }
        watcher = config.getWatched().map(this::watch).orElse(null);
    }

    private void register(ResidencyConfig.Adapter adapter) {
        String name = adapter.name();
        AdapterSettings settings = adapter.settings();
        Optional<RegisteredAdapter> known =
                store.getRegistry().find(name).filter(found -> !found.retired());
        if (known.isEmpty()) {
            store.register(name, adapter.source(), settings);
        } else if (isAsKnown(adapter, known.get())) {
            settings.getPriority().ifPresent(priority -> store.setPriority(name, priority));
            settings.getPinned().ifPresent(pinned -> store.setPinned(name, pinned));
            settings.getUnavailable().ifPresent(policy -> store.setUnavailable(name, policy));
        } else {
            store.replace(name, adapter.source(), settings);
        }
    }

    private static boolean isAsKnown(ResidencyConfig.Adapter adapter, RegisteredAdapter known) {
        AdapterSettings settings = adapter.settings();
        AdapterRevision current = known.current();
        return current.source().equals(adapter.source())
                && current.metadata().equals(settings.getMetadata())
                && (settings.getTenant().isEmpty() || settings.getTenant().equals(known.tenant()));
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
