/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Keeps the masks of states up to a number of bytes; those that were not used the longest go first.
 * Safe for use by several threads.
 */
final class MaskCache {

    private static final long MAX_BYTES = 64L << 20;

    private final Map<Key, long[]> masks = new LinkedHashMap<>(16, 0.75f, true);
    private long bytes;

    /** A state of one automaton; automata are told apart by identity. */
    private record Key(CompiledConstraint owner, int state) {}

    /** Returns a state's mask, computed where it is not kept. */
    long[] get(CompiledConstraint owner, int state, Supplier<long[]> compute) {
        Key key = new Key(owner, state);
        synchronized (masks) {
            long[] kept = masks.get(key);
            if (kept != null) {
                return kept;
            }
        }
        long[] mask = compute.get();
        synchronized (masks) {
            if (masks.put(key, mask) == null) {
                bytes += size(mask);
            }
            Iterator<long[]> oldest = masks.values().iterator();
            while (bytes > MAX_BYTES && masks.size() > 1) {
                bytes -= size(oldest.next());
                oldest.remove();
            }
        }
        return mask;
    }

    private static long size(long[] mask) {
        return (long) mask.length * Long.BYTES;
    }
}
