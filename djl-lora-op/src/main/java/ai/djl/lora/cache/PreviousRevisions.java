/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.RegisteredAdapter;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Consumer;

/**
 * The revisions before the current ones, as far as they have answered in their place. One is made
 * when it is first asked for, and retired with the revision that it stands in for.
 */
final class PreviousRevisions {

    private final AdapterRegistry registry;
    private final BiFunction<String, AdapterRevision, ManagedAdapter> factory;
    private final Consumer<ManagedAdapter> retire;
    private final Map<ManagedAdapter, ManagedAdapter> made = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code PreviousRevisions} instance.
     *
     * @param registry what knows the revisions
     * @param factory makes an adapter of a name and a revision
     * @param retire ends one
     */
    PreviousRevisions(
            AdapterRegistry registry,
            BiFunction<String, AdapterRevision, ManagedAdapter> factory,
            Consumer<ManagedAdapter> retire) {
        this.registry = registry;
        this.factory = factory;
        this.retire = retire;
    }

    /** Returns the revision before an adapter's, empty where there is none. */
    Optional<ManagedAdapter> of(ManagedAdapter adapter) {
        Optional<AdapterRevision> revision =
                registry.find(adapter.name())
                        .filter(known -> known.current().hash().equals(adapter.revision()))
                        .flatMap(RegisteredAdapter::previous);
        if (revision.isEmpty()) {
            return Optional.empty();
        }
        ManagedAdapter older =
                made.computeIfAbsent(
                        adapter, current -> factory.apply(current.name(), revision.get()));
        if (adapter.isRetired()) {
            forget(adapter);
            return Optional.empty();
        }
        return Optional.of(older);
    }

    /** Ends what stood in for an adapter that is retired. */
    void forget(ManagedAdapter adapter) {
        ManagedAdapter older = made.remove(adapter);
        if (older != null) {
            retire.accept(older);
        }
    }
}
