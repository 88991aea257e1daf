/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Entries in the order in which they were added, and the sum of their bytes, where each counts as
 * one at least.
 */
final class EntryQueue {

    private final Map<String, CacheEntry> entries = new LinkedHashMap<>();
    private long bytes;

    /** Puts an entry at the end, also one that is here already. */
    void addLast(CacheEntry entry) {
        remove(entry.id());
        entries.put(entry.id(), entry);
        bytes += weight(entry);
    }

    /** Replaces an entry that is here, at its place. */
    void replace(CacheEntry entry) {
        bytes += weight(entry) - weight(entries.put(entry.id(), entry));
    }

    /** Takes an entry out and returns whether it was here. */
    boolean remove(String id) {
        CacheEntry entry = entries.remove(id);
        if (entry == null) {
            return false;
        }
        bytes -= weight(entry);
        return true;
    }

    boolean contains(String id) {
        return entries.containsKey(id);
    }

    int size() {
        return entries.size();
    }

    long bytes() {
        return bytes;
    }

    /** Returns the first entry that may leave. */
    Optional<CacheEntry> first(Predicate<CacheEntry> evictable) {
        for (CacheEntry entry : entries.values()) {
            if (evictable.test(entry)) {
                return Optional.of(entry);
            }
        }
        return Optional.empty();
    }

    private static long weight(CacheEntry entry) {
        return Math.max(1, entry.bytes());
    }
}
