/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.policy.TierLimits;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Divides a batch that names more adapters than the device has room for. Requests of a wave run
 * together; the next wave's adapters are loaded when the one before has ended.
 */
final class AdapterWaves {

    /** What leases of others and pieces of free memory may take of the tier. */
    private static final double SPARE = 0.25;

    private final AdapterStore store;
    private final List<List<Sequence>> waves = new ArrayList<>();
    private final Set<String> adapters = new HashSet<>();
    private final TierLimits room;
    private long bytes;

    private AdapterWaves(AdapterStore store) {
        this.store = store;
        this.room = store.statistics().device().limits();
    }

    /**
     * Divides sequences. Those of one adapter are in one wave.
     *
     * @param store the model's adapters
     * @param sequences the sequences, sorted by adapter
     * @return the waves, each with one sequence at least
     */
    static List<List<Sequence>> of(AdapterStore store, List<Sequence> sequences) {
        AdapterWaves waves = new AdapterWaves(store);
        sequences.forEach(waves::add);
        return waves.waves;
    }

    private void add(Sequence sequence) {
        String name = sequence.request().adapter();
        List<String> missing = new ArrayList<>();
        if (!name.isEmpty()) {
            store.partsOf(name).stream()
                    .filter(part -> !adapters.contains(part))
                    .forEach(missing::add);
        }
        long needed = missing.stream().mapToLong(part -> store.state(part).bytes()).sum();
        boolean fits =
                adapters.size() + missing.size() <= room.entries()
                        && bytes + needed <= room.bytes() * (1 - SPARE);
        if (waves.isEmpty() || !missing.isEmpty() && !fits) {
            waves.add(new ArrayList<>());
            adapters.clear();
            bytes = 0;
        }
        waves.get(waves.size() - 1).add(sequence);
        if (adapters.addAll(missing)) {
            bytes += needed;
        }
    }
}
