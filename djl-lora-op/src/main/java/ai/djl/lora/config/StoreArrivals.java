/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.AdapterArrivals;
import ai.djl.lora.registry.RegisteredAdapter;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Registers the adapters of a watched directory, each by the name of its folder or archive, swaps
 * them when they have changed, and retires them when they are gone.
 */
final class StoreArrivals implements AdapterArrivals {

    private static final String FINGERPRINT = "watch.fingerprint";
    private static final List<String> ARCHIVES = List.of(".tar.gz", ".tgz", ".zip");

    private final AdapterStore store;
    private final Path directory;

    /**
     * Constructs a new {@code StoreArrivals} instance.
     *
     * @param store where adapters are registered
     * @param directory the directory that is watched
     */
    StoreArrivals(AdapterStore store, Path directory) {
        this.store = store;
        this.directory = directory.toAbsolutePath().normalize();
    }

    /** Returns what was taken from the directory before a restart. */
    Map<Path, String> known() {
        Map<Path, String> known = new HashMap<>();
        for (RegisteredAdapter adapter : store.getRegistry().list()) {
            Path source = adapter.current().source();
            String fingerprint = adapter.current().metadata().get(FINGERPRINT);
            if (!adapter.retired() && fingerprint != null && directory.equals(source.getParent())) {
                known.put(source, fingerprint);
            }
        }
        return known;
    }

    /** {@inheritDoc} */
    @Override
    public void arrived(Path adapter, String fingerprint) {
        String name = name(adapter);
        AdapterSettings settings =
                AdapterSettings.builder().optMetadata(Map.of(FINGERPRINT, fingerprint)).build();
        Optional<RegisteredAdapter> before = find(name);
        if (before.isEmpty()) {
            store.register(name, adapter, settings);
            return;
        }
        if (!isFrom(before.get(), adapter)) {
            throw new LoraConfigurationException(
                    Message.oneLine(adapter.toString())
                            + ": adapter "
                            + Message.quote(name)
                            + " was registered from "
                            + Message.oneLine(before.get().current().source().toString())
                            + " already");
        }
        store.replace(name, adapter, settings);
    }

    /** {@inheritDoc} */
    @Override
    public void gone(Path adapter) {
        // what has been replaced from another place since is not gone
        find(name(adapter))
                .filter(known -> isFrom(known, adapter))
                .ifPresent(known -> store.retire(known.name()));
    }

    private Optional<RegisteredAdapter> find(String name) {
        return store.getRegistry().find(name).filter(found -> !found.retired());
    }

    private static boolean isFrom(RegisteredAdapter known, Path adapter) {
        return known.current().source().equals(adapter.toAbsolutePath().normalize());
    }

    private static String name(Path adapter) {
        String file = String.valueOf(adapter.getFileName());
        return ARCHIVES.stream()
                .filter(file::endsWith)
                .findFirst()
                .map(suffix -> file.substring(0, file.length() - suffix.length()))
                .orElse(file);
    }
}
