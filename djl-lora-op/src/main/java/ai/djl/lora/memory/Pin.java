/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.util.concurrent.atomic.AtomicReference;

/**
 * Holds a {@link Block} in its place while its bytes are read or written.
 *
 * @param <V> what the bytes are read and written through
 */
public final class Pin<V> implements AutoCloseable {

    private final AtomicReference<Block<V>> block;
    private final V view;

    Pin(Block<V> block, V view) {
        this.block = new AtomicReference<>(block);
        this.view = view;
    }

    /**
     * Returns the block's bytes.
     *
     * @return the bytes, of use until this pin is closed: then the pool may move or reuse them
     * @throws IllegalStateException if this pin is closed
     */
    public V view() {
        if (block.get() == null) {
            throw new IllegalStateException("The pin is closed");
        }
        return view;
    }

    /** Lets the pool move the block again. A second call has no effect. */
    @Override
    public void close() {
        Block<V> pinned = block.getAndSet(null);
        if (pinned != null) {
            pinned.unpin();
        }
    }
}
