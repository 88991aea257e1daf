/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The latest requests, at most so many. Guarded by the lock of its tier, as its strategy is. */
public final class AccessRecorder {

    private final CacheEntry[] ring;
    private long recorded;

    /**
     * Constructs a new {@code AccessRecorder} instance.
     *
     * @param capacity the number of requests to keep, 1 or more
     */
    public AccessRecorder(int capacity) {
        if (capacity < 1) {
            throw new IllegalArgumentException("capacity is " + capacity + ", allowed is >= 1");
        }
        ring = new CacheEntry[capacity];
    }

    /**
     * Keeps a request, and lets go of the oldest if there are too many.
     *
     * @param entry the adapter that was asked for
     */
    public void record(CacheEntry entry) {
        ring[(int) (recorded++ % ring.length)] = entry;
    }

    /**
     * Returns the requests that are kept, oldest first, as a copy that may leave the lock.
     *
     * @return the requests
     */
    public List<CacheEntry> recent() {
        int size = (int) Math.min(recorded, ring.length);
        List<CacheEntry> recent = new ArrayList<>(size);
        for (long i = recorded - size; i < recorded; ++i) {
            recent.add(ring[(int) (i % ring.length)]);
        }
        return recent;
    }

    /**
     * Makes a trace of requests. An adapter's size and cost are those of its last request.
     *
     * @param requests the requests, oldest first
     * @return the trace
     */
    public static Trace trace(List<CacheEntry> requests) {
        Map<String, Integer> indexes = new HashMap<>();
        List<CacheEntry> entries = new ArrayList<>();
        int[] trace = new int[requests.size()];
        for (int i = 0; i < trace.length; ++i) {
            CacheEntry entry = requests.get(i);
            int index = indexes.computeIfAbsent(entry.id(), id -> indexes.size());
            if (index == entries.size()) {
                entries.add(entry);
            } else {
                entries.set(index, entry);
            }
            trace[i] = index;
        }
        return new Trace(entries, trace);
    }
}
