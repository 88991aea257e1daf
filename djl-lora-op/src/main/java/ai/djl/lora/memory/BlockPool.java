/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Cuts an arena of a fixed size into blocks.
 *
 * <p>A block comes from the smallest free range that has room (best fit), at its low end; a block
 * that is freed is joined with the free ranges beside it at once. What is left in small pieces by
 * then, {@link #defragment()} joins: it slides every block that is not pinned towards the arena's
 * start.
 *
 * <p>All methods may be called from any thread. One lock guards the pool; it is fair, and
 * defragmentation gives it up after each block, so that whoever wants a block meanwhile waits for
 * one move at most. Reading a block takes no lock.
 *
 * @param <V> what a block is read and written through
 */
public final class BlockPool<V> implements AutoCloseable {

    /** Blocks begin at multiples of this many bytes: a cache line, and the widest vector. */
    public static final int ALIGNMENT = 64;

    private final Arena<V> arena;
    private final long limit;
    private final ReentrantLock lock = new ReentrantLock(true);
    private final FreeChunks<V> free = new FreeChunks<>();

    /** What the list of ranges begins with. */
    private final Chunk<V> head = new Chunk<>(0, 0);

    private long used;
    private long requested;
    private int blocks;
    private long allocations;
    private long frees;
    private long refusals;
    private long moves;
    private long movedBytes;
    private boolean closed;

    /**
     * Constructs a new {@code BlockPool} instance.
     *
     * @param arena the memory, which the pool closes; what is beyond the last whole multiple of
     *     {@link #ALIGNMENT} is not used
     * @throws IllegalArgumentException if the arena is smaller than {@link #ALIGNMENT}
     */
    public BlockPool(Arena<V> arena) {
        this.arena = arena;
        this.limit = arena.bytes() / ALIGNMENT * ALIGNMENT;
        if (limit == 0) {
            throw new IllegalArgumentException(
                    "A pool needs an arena of "
                            + ALIGNMENT
                            + " bytes or more, found "
                            + arena.bytes());
        }
        Chunk<V> all = new Chunk<>(0, limit);
        all.insertAfter(head);
        free.add(all);
    }

    /**
     * Returns what a block of a size takes of the pool.
     *
     * @param bytes the size in bytes, at least 1
     * @return the size up to the next multiple of {@link #ALIGNMENT}
     */
    public static long footprint(long bytes) {
        if (bytes < 1 || bytes > Long.MAX_VALUE - ALIGNMENT) {
            throw new IllegalArgumentException("A block has at least 1 byte, found " + bytes);
        }
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /**
     * Cuts a block.
     *
     * @param bytes the size in bytes, at least 1
     * @return the block, to be given to {@link #free} by the caller; empty where no free range has
     *     room, and defragmentation helps only if {@link PoolStatistics#free()} is enough
     * @throws IllegalStateException if the pool is closed
     */
    public Optional<Block<V>> tryAllocate(long bytes) {
        long needed = footprint(bytes);
        lock.lock();
        try {
            checkOpen();
            Chunk<V> chunk = bytes > arena.largestView() ? null : free.bestFit(needed);
            if (chunk == null) {
                ++refusals;
                return Optional.empty();
            }
            free.remove(chunk);
            Chunk<V> taken = cut(chunk, needed);
            taken.block = new Block<>(this, taken, bytes);
            used += needed;
            requested += bytes;
            ++blocks;
            ++allocations;
            return Optional.of(taken.block);
        } finally {
            lock.unlock();
        }
    }

    /* Takes the low end of a free range that is in no tree; what is left is a free range again. */
    private Chunk<V> cut(Chunk<V> chunk, long needed) {
        if (chunk.bytes == needed) {
            return chunk;
        }
        Chunk<V> taken = new Chunk<>(chunk.address, needed);
        taken.insertAfter(chunk.previous);
        chunk.address += needed;
        chunk.bytes -= needed;
        free.add(chunk);
        return taken;
    }

    /**
     * Gives a block back. Its handle cannot be used from then on.
     *
     * @param block a block of this pool
     * @throws IllegalArgumentException if the block is another pool's
     * @throws IllegalStateException if the block was freed already, or is pinned
     */
    public void free(Block<V> block) {
        if (block.pool() != this) {
            throw new IllegalArgumentException(block + " belongs to another pool");
        }
        lock.lock();
        try {
            Chunk<V> chunk = block.chunk();
            block.free();
            used -= chunk.bytes;
            requested -= block.bytes();
            --blocks;
            ++frees;
            chunk.block = null;
            joinNeighbours(chunk);
        } finally {
            lock.unlock();
        }
    }

    /* Joins a free range that is in no tree with its free neighbours, and puts it into the trees. */
    private void joinNeighbours(Chunk<V> chunk) {
        Chunk<V> previous = chunk.previous;
        if (previous.isFree()) {
            free.remove(previous);
            chunk.address = previous.address;
            chunk.bytes += previous.bytes;
            previous.unlink();
        }
        Chunk<V> next = chunk.next;
        if (next != null && next.isFree()) {
            free.remove(next);
            chunk.bytes += next.bytes;
            next.unlink();
        }
        free.add(chunk);
    }

    /**
     * Slides all blocks that are not pinned together, towards the arena's start.
     *
     * @return what was moved by this call
     * @throws IllegalStateException if the pool is closed meanwhile
     */
    public Defragmentation defragment() {
        return defragment(limit);
    }

    /**
     * Slides blocks that are not pinned together until there is a free range of a size.
     *
     * @param enough the size in bytes at which to stop, at least 1
     * @return what was moved by this call
     * @throws IllegalStateException if the pool is closed meanwhile
     */
    public Defragmentation defragment(long enough) {
        return defragment(footprint(enough), null);
    }

    /**
     * Slides all blocks that are not pinned and that a guard lets be moved together, towards the
     * arena's start. Each is held by the guard for its own move alone.
     *
     * @param guard is asked before each move
     * @return what was moved by this call
     * @throws IllegalStateException if the pool is closed meanwhile
     */
    public Defragmentation defragment(MoveGuard<V> guard) {
        return defragment(limit, guard);
    }

    private Defragmentation defragment(long wanted, MoveGuard<V> guard) {
        int movedBlocks = 0;
        long bytes = 0;
        long from = 0;
        while (true) {
            lock.lock();
            try {
                checkOpen();
                Chunk<V> gap = free.from(from);
                // whatever follows a free range is a block, since free neighbours are joined
                if (gap == null || gap.next == null || free.largest() >= wanted) {
                    return new Defragmentation(movedBlocks, bytes);
                }
                Chunk<V> chunk = gap.next;
                if (tryHold(chunk.block, guard)) {
                    from = slide(gap, chunk, guard);
                    ++movedBlocks;
                    bytes += chunk.bytes;
                } else {
                    from = chunk.address + chunk.bytes;
                }
            } finally {
                lock.unlock();
            }
        }
    }

    /* The block before the guard: while it is held nobody can pin it, as its owner may to free it. */
    private boolean tryHold(Block<V> block, MoveGuard<V> guard) {
        if (!block.tryHold()) {
            return false;
        }
        boolean held = guard == null;
        try {
            held = held || guard.tryHold(block);
        } finally {
            if (!held) {
                block.release();
            }
        }
        return held;
    }

    /* Moves a held block to the start of the gap before it. Returns where the gap lies then. */
    private long slide(Chunk<V> gap, Chunk<V> chunk, MoveGuard<V> guard) {
        Block<V> block = chunk.block;
        boolean moved = false;
        try {
            arena.move(chunk.address, gap.address, block.bytes());
            moved = true;
        } finally {
            if (guard != null) {
                guard.release(block);
            }
            if (!moved) {
                block.release();
            }
        }
        free.remove(gap);
        chunk.address = gap.address;
        gap.address += chunk.bytes;
        gap.unlink();
        gap.insertAfter(chunk);
        block.releaseAt(chunk);
        ++moves;
        movedBytes += chunk.bytes;
        long next = gap.address;
        joinNeighbours(gap);
        return next;
    }

    /**
     * Gives what no block lies in back to the system; see {@link Arena#discard}.
     *
     * @return how many bytes were given back, counting what was given back before and not taken
     *     again
     * @throws IllegalStateException if the pool is closed
     */
    public long trim() {
        lock.lock();
        try {
            checkOpen();
            long[] bytes = new long[1];
            free.forEach(chunk -> bytes[0] += arena.discard(chunk.address, chunk.bytes));
            return bytes[0];
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns how the pool stands.
     *
     * @return the statistics
     */
    public PoolStatistics statistics() {
        lock.lock();
        try {
            return new PoolStatistics(
                    limit,
                    used,
                    requested,
                    Math.min(free.largest(), arena.largestView()),
                    arena.largestView(),
                    blocks,
                    free.count(),
                    allocations,
                    frees,
                    refusals,
                    moves,
                    movedBytes);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Gives the memory back. Blocks that were not freed end with it.
     *
     * @throws IllegalStateException if a block is pinned; then nothing has changed
     */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!closed) {
                holdAll();
                for (Chunk<V> chunk = head.next; chunk != null; chunk = chunk.next) {
                    if (!chunk.isFree()) {
                        chunk.block.end();
                    }
                }
                closed = true;
                arena.close();
            }
        } finally {
            lock.unlock();
        }
    }

    private void holdAll() {
        for (Chunk<V> chunk = head.next; chunk != null; chunk = chunk.next) {
            if (!chunk.isFree() && !chunk.block.tryHold()) {
                for (Chunk<V> held = head.next; held != chunk; held = held.next) {
                    if (!held.isFree()) {
                        held.block.release();
                    }
                }
                throw new IllegalStateException(
                        "The pool cannot be closed: " + chunk.block + " is pinned");
            }
        }
    }

    V view(long address, long bytes) {
        return arena.view(address, bytes);
    }

    /** Waits until no block is being moved. */
    void awaitMove() {
        lock.lock();
        lock.unlock();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The pool is closed");
        }
    }
}
