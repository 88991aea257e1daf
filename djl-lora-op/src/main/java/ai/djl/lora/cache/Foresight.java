/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.AccessPredictor;
import ai.djl.lora.cache.policy.CacheEntry;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;

/** What is likely to be asked for next, and whether it was. */
final class Foresight {

    /** A less likely adapter is not worth its load. */
    private static final double LIKELY = 0.3;

    private final AdapterCatalog catalog;
    private final AccessPredictor predictor = new AccessPredictor();
    private final LongAdder loaded = new LongAdder();
    private final LongAdder used = new LongAdder();
    private final LongAdder wasted = new LongAdder();

    /**
     * Constructs a new {@code Foresight} instance.
     *
     * @param catalog the adapters
     */
    Foresight(AdapterCatalog catalog) {
        this.catalog = catalog;
    }

    /** Takes note of a request. */
    void observe(CacheEntry entry) {
        predictor.observe(entry.id());
    }

    /** Returns adapters off the device that are likely to be asked for, likeliest first. */
    Stream<ManagedAdapter> likely(int count) {
        return predictor.predict(count, id -> absent(id).isPresent()).stream()
                .filter(forecast -> forecast.probability() >= LIKELY)
                .flatMap(forecast -> absent(forecast.id()).stream());
    }

    private Optional<ManagedAdapter> absent(String id) {
        return catalog.byId(id).filter(adapter -> !adapter.isOnDevice());
    }

    /** Notes that an adapter was put on the device before anybody had asked for it. */
    void loaded(ManagedAdapter adapter) {
        adapter.setForeseen(true);
        loaded.increment();
    }

    /** Notes that an adapter was asked for that is on the device. */
    void used(ManagedAdapter adapter) {
        if (adapter.isForeseen()) {
            adapter.setForeseen(false);
            used.increment();
        }
    }

    /** Notes that an adapter has left the device. */
    void left(ManagedAdapter adapter) {
        if (adapter.isForeseen()) {
            adapter.setForeseen(false);
            wasted.increment();
        }
    }

    long loadedCount() {
        return loaded.sum();
    }

    long usedCount() {
        return used.sum();
    }

    long wastedCount() {
        return wasted.sum();
    }
}
