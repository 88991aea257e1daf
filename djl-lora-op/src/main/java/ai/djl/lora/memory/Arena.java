/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * A stretch of memory of a fixed size, of a host or of a device, that a {@link BlockPool} divides.
 *
 * <p>The pool calls {@link #move} from one thread at a time; {@link #view} may be called by many at
 * once, and beside a move of other bytes.
 *
 * @param <V> what a part of the memory is read and written through, such as a byte buffer
 */
public interface Arena<V> extends AutoCloseable {

    /**
     * Returns the size.
     *
     * @return the size in bytes
     */
    long bytes();

    /**
     * Returns the size of the largest part that one view can show.
     *
     * @return the size in bytes, at most {@link #bytes()}
     */
    long largestView();

    /**
     * Shows a part of the memory.
     *
     * @param address the part's first byte, a multiple of {@link BlockPool#ALIGNMENT}
     * @param bytes the part's size, at most {@link #largestView()}
     * @return a view of these bytes and no others, of use until the arena is closed
     */
    V view(long address, long bytes);

    /**
     * Copies bytes to another place, as if through a buffer between: the two places may overlap.
     * Fails before it has written anything, or not at all.
     *
     * @param from the first byte to copy
     * @param to the first byte to write
     * @param bytes how many, at most {@link #largestView()}
     */
    void move(long from, long to, long bytes);

    /**
     * Gives a part of the memory that no block lies in back to the system, as far as that can be
     * done; it is taken again when it is next written.
     *
     * @param address the part's first byte
     * @param bytes the part's size
     * @return how many bytes were given back
     */
    default long discard(long address, long bytes) {
        return 0;
    }

    /** Gives the memory back. No view may be used from now on. */
    @Override
    void close();
}
