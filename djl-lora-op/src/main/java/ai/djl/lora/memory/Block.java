/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * A part of a {@link BlockPool}, as its owner holds it.
 *
 * <p>The pool may move the bytes to another place while nobody reads them, so that they are reached
 * through a {@link Pin} alone: what is pinned stays where it is. Pinning and unpinning take no
 * lock; only a block that is on its way just then is waited for.
 *
 * @param <V> what the bytes are read and written through
 */
public final class Block<V> {

    private static final int MOVING = -1;
    private static final int FREED = -2;

    /** The pool's own view of where this block lies. Guarded by the pool's lock. */
    private Chunk<V> chunk;

    private final BlockPool<V> pool;
    private final long bytes;

    /** How many pins there are, or {@link #MOVING} or {@link #FREED}. */
    private final AtomicInteger pins = new AtomicInteger();

    private volatile long address;
    private final AtomicInteger moves = new AtomicInteger();

    Block(BlockPool<V> pool, Chunk<V> chunk, long bytes) {
        this.pool = pool;
        this.chunk = chunk;
        this.bytes = bytes;
        this.address = chunk.address;
    }

    /**
     * Returns the size that was asked for.
     *
     * @return the size in bytes; the pool counts it up to the next multiple of {@link
     *     BlockPool#ALIGNMENT}
     */
    public long bytes() {
        return bytes;
    }

    /**
     * Returns how often the pool has moved this block.
     *
     * @return the number of moves
     */
    public int moves() {
        return moves.get();
    }

    /**
     * Keeps the block in its place and shows its bytes.
     *
     * @return the pin, to be closed by the caller
     * @throws IllegalStateException if the block was freed
     */
    public Pin<V> pin() {
        while (true) {
            int current = pins.get();
            if (current == FREED) {
                throw new IllegalStateException(this + " was freed already");
            }
            if (current == MOVING) {
                pool.awaitMove();
            } else if (pins.compareAndSet(current, current + 1)) {
                return new Pin<>(this, pool.view(address, bytes));
            }
        }
    }

    /**
     * Runs a function on the bytes, with the block pinned while it runs.
     *
     * @param function reads or writes the bytes, and must not keep what it was given
     * @param <R> what the function returns
     * @return what the function returned
     * @throws IllegalStateException if the block was freed
     */
    public <R> R access(Function<? super V, ? extends R> function) {
        try (Pin<V> pin = pin()) {
            return function.apply(pin.view());
        }
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return "Block of " + bytes + " bytes";
    }

    void unpin() {
        pins.decrementAndGet();
    }

    BlockPool<V> pool() {
        return pool;
    }

    Chunk<V> chunk() {
        return chunk;
    }

    /* The rest is called with the pool's lock held, so that no two of them meet. */

    /** Keeps pins away; returns false where the block is pinned. */
    boolean tryHold() {
        return pins.compareAndSet(0, MOVING);
    }

    /** Lets pins in again. */
    void release() {
        pins.set(0);
    }

    /** Lets pins in again at another place. */
    void releaseAt(Chunk<V> place) {
        chunk = place;
        address = place.address;
        moves.incrementAndGet();
        pins.set(0);
    }

    /** Ends a block that is held. */
    void end() {
        chunk = null;
        pins.set(FREED);
    }

    /** Keeps pins away for good, or says why that cannot be. */
    void free() {
        if (!tryHold()) {
            int current = pins.get();
            throw new IllegalStateException(
                    current == FREED
                            ? this + " was freed already"
                            : this + " is pinned " + current + " times and cannot be freed");
        }
        end();
    }
}
