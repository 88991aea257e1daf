/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.util.Comparator;
import java.util.TreeSet;
import java.util.function.Consumer;

/** The free ranges of an arena, found by size and by address. Guarded by the pool's lock. */
final class FreeChunks<V> {

    private final TreeSet<Chunk<V>> byAddress =
            new TreeSet<>((a, b) -> Long.compare(a.address, b.address));

    /** Of ranges of one size the lowest comes first, so that the high end stays whole. */
    private final TreeSet<Chunk<V>> bySize =
            new TreeSet<>(
                    Comparator.<Chunk<V>>comparingLong(chunk -> chunk.bytes)
                            .thenComparingLong(chunk -> chunk.address));

    void add(Chunk<V> chunk) {
        bySize.add(chunk);
        byAddress.add(chunk);
    }

    /** Takes a range out; to be called before its address or its size changes. */
    void remove(Chunk<V> chunk) {
        bySize.remove(chunk);
        byAddress.remove(chunk);
    }

    /** Returns the smallest range that has room, or null. */
    Chunk<V> bestFit(long bytes) {
        return bySize.ceiling(new Chunk<>(0, bytes));
    }

    /** Returns the first range at an address or above it, or null. */
    Chunk<V> from(long address) {
        return byAddress.ceiling(new Chunk<>(address, 0));
    }

    /** Returns the size of the largest range. */
    long largest() {
        return bySize.isEmpty() ? 0 : bySize.last().bytes;
    }

    /** Hands every range on, the lowest first. */
    void forEach(Consumer<Chunk<V>> action) {
        byAddress.forEach(action);
    }

    int count() {
        return bySize.size();
    }
}
