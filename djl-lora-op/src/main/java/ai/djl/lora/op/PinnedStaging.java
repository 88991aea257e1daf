/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.memory.Arena;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Semaphore;
import java.util.function.LongFunction;

/**
 * Pinned memory through which adapters go to a device: few parts, of which each is as large as the
 * largest adapter that went through it, since pinning takes as long as the copy itself.
 */
final class PinnedStaging implements AutoCloseable {

    /** One is filled while another is copied. */
    private static final int PARTS = 2;

    private final LongFunction<Arena<ByteBuffer>> maker;
    private final Semaphore parts = new Semaphore(PARTS, true);
    private final Deque<Arena<ByteBuffer>> free = new ArrayDeque<>();
    private boolean closed;

    /**
     * Constructs a new {@code PinnedStaging} instance.
     *
     * @param maker takes memory of a size in bytes
     */
    PinnedStaging(LongFunction<Arena<ByteBuffer>> maker) {
        this.maker = maker;
    }

    /** Memory that is taken for one adapter. Closing it gives it back. */
    final class Part implements AutoCloseable {

        private final Arena<ByteBuffer> arena;
        private final ByteBuffer buffer;

        Part(Arena<ByteBuffer> arena, ByteBuffer buffer) {
            this.arena = arena;
            this.buffer = buffer;
        }

        /** Returns as many bytes as were asked for. */
        ByteBuffer buffer() {
            return buffer;
        }

        /** {@inheritDoc} */
        @Override
        public void close() {
            giveBack(arena);
            parts.release();
        }
    }

    /**
     * Takes memory, waiting for those who took theirs before.
     *
     * @param bytes the size, at most what a buffer shows
     * @return the memory, to be closed by the caller
     * @throws LoraMemoryException if the system does not give it
     */
    Part take(long bytes) {
        parts.acquireUninterruptibly();
        Arena<ByteBuffer> arena = null;
        try {
            arena = kept(bytes);
            if (arena == null) {
                arena = maker.apply(bytes);
            }
            if (arena.largestView() < bytes) {
                throw new LoraMemoryException(
                        "Staging takes "
                                + bytes
                                + " bytes in one view; an arena shows "
                                + arena.largestView());
            }
            Part part = new Part(arena, arena.view(0, bytes));
            arena = null;
            return part;
        } catch (RuntimeException e) {
            if (arena != null) {
                arena.close();
            }
            parts.release();
            throw e;
        }
    }

    /* What is too small makes room for what is not. */
    private synchronized Arena<ByteBuffer> kept(long bytes) {
        while (!free.isEmpty()) {
            Arena<ByteBuffer> arena = free.removeFirst();
            if (arena.bytes() >= bytes) {
                return arena;
            }
            arena.close();
        }
        return null;
    }

    private synchronized void giveBack(Arena<ByteBuffer> arena) {
        if (closed) {
            arena.close();
        } else {
            free.addLast(arena);
        }
    }

    /**
     * Gives back what nobody has taken.
     *
     * @return how many bytes
     */
    synchronized long trim() {
        long bytes = 0;
        while (!free.isEmpty()) {
            Arena<ByteBuffer> arena = free.removeFirst();
            bytes += arena.bytes();
            arena.close();
        }
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void close() {
        closed = true;
        trim();
    }
}
