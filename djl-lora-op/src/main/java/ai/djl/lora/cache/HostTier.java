/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.cache.policy.CacheEntry;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/** Packed adapters in the host's memory, from where they reach the device without their files. */
final class HostTier {

    private final Tier tier;
    private final Map<String, HostCopy> copies = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code HostTier} instance.
     *
     * @param tier what counts and chooses
     */
    HostTier(Tier tier) {
        this.tier = tier;
    }

    /** Returns an adapter's copy. */
    Optional<HostCopy> get(ManagedAdapter adapter) {
        HostCopy copy = copies.get(adapter.id());
        if (copy == null) {
            tier.miss(adapter.deviceEntry());
            return Optional.empty();
        }
        tier.hit(entry(adapter, copy));
        return Optional.of(copy);
    }

    /** Returns whether there is a copy, without counting as a use. */
    boolean holds(ManagedAdapter adapter) {
        return copies.containsKey(adapter.id());
    }

    /** Returns an adapter's copy, without counting as a use. */
    Optional<HostCopy> peek(ManagedAdapter adapter) {
        return Optional.ofNullable(copies.get(adapter.id()));
    }

    /**
     * Keeps a copy, if there is room for it.
     *
     * @param adapter the adapter
     * @param copy its copy
     * @param evicting whether room may be made, as the strategy allows
     */
    void offer(ManagedAdapter adapter, HostCopy copy, boolean evicting) {
        Predicate<CacheEntry> mayLeave = entry -> evicting && isHeld(entry);
        if (!copies.containsKey(adapter.id())
                && tier.reserve(entry(adapter, copy), mayLeave, this::free, false)) {
            copies.put(adapter.id(), copy);
            if (adapter.isRetired()) {
                // it may have been retired before the copy could be seen
                remove(adapter);
            }
        }
    }

    /** Drops an adapter's copy. */
    void remove(ManagedAdapter adapter) {
        tier.remove(adapter.deviceEntry(), this::free);
    }

    /** Drops every copy. */
    void clear() {
        tier.shrink(Long.MAX_VALUE, this::isHeld, this::free);
    }

    /* A place that is kept for a copy that is not there yet cannot be had. */
    private boolean isHeld(CacheEntry entry) {
        return copies.containsKey(entry.id());
    }

    /* Called under the tier's lock, so that what is counted and what is held stay the same. */
    private boolean free(CacheEntry entry) {
        return copies.remove(entry.id()) != null;
    }

    Tier tier() {
        return tier;
    }

    private static CacheEntry entry(ManagedAdapter adapter, HostCopy copy) {
        CacheEntry known = adapter.deviceEntry();
        return new CacheEntry(adapter.id(), copy.bytes(), known.loadNanos(), known.priority());
    }
}
