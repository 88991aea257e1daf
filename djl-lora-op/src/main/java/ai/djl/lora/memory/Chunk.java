/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * A range of an arena, taken by a block or free. The ranges of an arena are a list without gaps,
 * behind a head of no bytes that is never taken out. Guarded by the pool's lock.
 */
final class Chunk<V> {

    long address;
    long bytes;

    /** What lies here, or null where the range is free. */
    Block<V> block;

    Chunk<V> previous;
    Chunk<V> next;

    Chunk(long address, long bytes) {
        this.address = address;
        this.bytes = bytes;
    }

    boolean isFree() {
        return block == null && bytes > 0;
    }

    void insertAfter(Chunk<V> place) {
        previous = place;
        next = place.next;
        if (next != null) {
            next.previous = this;
        }
        place.next = this;
    }

    /** Takes this range out of the list; its bytes go to a neighbour. */
    void unlink() {
        previous.next = next;
        if (next != null) {
            next.previous = previous;
        }
    }
}
