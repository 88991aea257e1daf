/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.time.Duration;
import java.time.InstantSource;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/**
 * How the registered adapters are used. The counters of an adapter begin with its registration and
 * end when it is unregistered; a new revision keeps them.
 */
public final class AccessStatistics {

    private final InstantSource clock;
    private final long halfLife;
    private final Map<String, AdapterAccess> adapters = new ConcurrentHashMap<>();

    AccessStatistics(InstantSource clock, Duration halfLife) {
        this.clock = clock;
        this.halfLife = halfLife.toMillis();
    }

    /**
     * Returns an adapter's counters. Who uses an adapter often keeps them, and spares the lookup.
     *
     * @param name the adapter's own name, no alias
     * @return the counters, empty if it is not registered
     */
    public Optional<AdapterAccess> of(String name) {
        return Optional.ofNullable(adapters.get(name));
    }

    /**
     * Returns how each adapter was used up to now.
     *
     * @return one record for each registered adapter, in no particular order
     */
    public List<AccessRecord> snapshot() {
        return adapters.entrySet().stream()
                .map(entry -> entry.getValue().record(entry.getKey()))
                .toList();
    }

    /** Returns the names of the adapters used most, the most frequent first. */
    List<String> hottest(int count, Predicate<String> wanted) {
        return snapshot().stream()
                .filter(record -> record.frequency() > 0 && wanted.test(record.name()))
                .sorted(
                        Comparator.comparingDouble(AccessRecord::frequency)
                                .reversed()
                                .thenComparing(AccessRecord::name))
                .limit(count)
                .map(AccessRecord::name)
                .toList();
    }

    void add(String name) {
        adapters.computeIfAbsent(name, key -> new AdapterAccess(clock, halfLife));
    }

    void remove(String name) {
        adapters.remove(name);
    }

    /** Takes over what was counted before a restart, for an adapter that is registered still. */
    void restore(AccessRecord record) {
        adapters.computeIfPresent(
                record.name(), (name, fresh) -> new AdapterAccess(clock, halfLife, record));
    }
}
