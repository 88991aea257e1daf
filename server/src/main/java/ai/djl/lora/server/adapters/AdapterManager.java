/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.model.ServedModel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;

/**
 * What changes the adapters of a model while it is served: one change of an adapter at a time, and
 * none that would leave a name with less than it had when it fails.
 */
public final class AdapterManager implements AutoCloseable {

    /** How often is looked for copies that nothing needs, and how long they are left then. */
    private static final Duration SWEEP = Duration.ofSeconds(30);

    private final AdapterStore store;
    private final AdapterSources sources;
    private final AdapterChanges changes = new AdapterChanges();
    private final AdapterNames names;
    private final AdapterRegistration registration;
    private final AdapterPlacement placement;
    private final AdapterSwaps swaps;
    private final AdapterCanaries canaries;

    /**
     * Constructs a new {@code AdapterManager} instance.
     *
     * @param model the model
     * @param targets which adapter requests get
     * @param sources where adapters come from; closed with this
     */
    public AdapterManager(ServedModel model, AdapterTargets targets, AdapterSources sources) {
        this.store = model.adapters();
        this.sources = sources;
        RevisionTrials trials = new RevisionTrials(model, sources);
        names = new AdapterNames(model, targets);
        canaries = new AdapterCanaries(store, targets, trials, changes, names);
        canaries.restore();
        registration = new AdapterRegistration(store, sources, changes, names, canaries);
        placement = new AdapterPlacement(store, names);
        swaps = new AdapterSwaps(trials, changes, names, canaries);
        changes.every(SWEEP, () -> sweep(SWEEP));
    }

    /**
     * Returns where changes are made that take their time.
     *
     * @return the threads for them, owned by this manager
     */
    public AdapterChanges changes() {
        return changes;
    }

    /**
     * Returns what finds adapters, and gives them other names.
     *
     * @return the names
     */
    public AdapterNames names() {
        return names;
    }

    /**
     * Returns what registers adapters and takes them away.
     *
     * @return the registration
     */
    public AdapterRegistration registration() {
        return registration;
    }

    /**
     * Returns what brings adapters to the device and keeps them there.
     *
     * @return the placement
     */
    public AdapterPlacement placement() {
        return placement;
    }

    /**
     * Returns what puts revisions in the place of others.
     *
     * @return the swaps
     */
    public AdapterSwaps swaps() {
        return swaps;
    }

    /**
     * Returns what gives revisions a share of the requests.
     *
     * @return the canaries
     */
    public AdapterCanaries canaries() {
        return canaries;
    }

    /**
     * Deletes copies of adapters that nothing has needed for a time.
     *
     * @param time the time
     */
    public void sweep(Duration time) {
        Set<Path> needed = new HashSet<>(store.sources());
        for (RegisteredAdapter adapter : store.getRegistry().list()) {
            adapter.revisions().forEach(revision -> needed.add(revision.source()));
            adapter.canary().ifPresent(canary -> needed.add(canary.revision().source()));
        }
        sources.sweep(needed, time);
    }

    /** Ends changes that wait, and deletes copies that are not kept. */
    @Override
    public void close() {
        changes.close();
        sources.close();
    }
}
