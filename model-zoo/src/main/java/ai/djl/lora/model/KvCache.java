/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.LoraContext;
import java.util.Arrays;

/**
 * Where the keys and values of one sequence's tokens lie in a {@link KvPool}.
 *
 * <p>The cache takes blocks as the sequence grows and gives them back when it is closed. It serves
 * one step at a time.
 */
public final class KvCache implements AutoCloseable {

    private final KvPool pool;
    private final KvBlockAllocator allocator;
    private final boolean ownsPool;
    private int[] blocks = new int[4];
    private int blockCount;
    private int length;
    private AdapterExtras begun;
    private boolean closed;

    KvCache(KvPool pool, KvBlockAllocator allocator, boolean ownsPool) {
        this.pool = pool;
        this.allocator = allocator;
        this.ownsPool = ownsPool;
    }

    /**
     * Returns the number of tokens whose keys and values are in the cache, virtual ones too.
     *
     * @return the number of tokens
     */
    public int length() {
        return length;
    }

    /**
     * Returns the memory of the blocks that the cache holds.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return blockCount * pool.bytesPerBlock();
    }

    /**
     * Returns the number of blocks that the cache holds.
     *
     * @return the number of blocks
     */
    public int blockCount() {
        return blockCount;
    }

    /**
     * Returns a block that the cache holds.
     *
     * @param index which of them, in the order of their positions
     * @return the block's index in the pool
     */
    public int block(int index) {
        if (index >= blockCount) {
            throw new IndexOutOfBoundsException(index + " of " + blockCount + " blocks");
        }
        return blocks[index];
    }

    /**
     * Gives an empty cache blocks in which keys and values lie already: of the same tokens from the
     * same position on, of the same model and adapter. The cache gives them back as its own.
     *
     * @param filled the blocks, all of them full
     */
    public void adopt(int... filled) {
        if (blockCount > 0) {
            throw new IllegalStateException("The cache has " + blockCount + " blocks already");
        }
        blocks = Arrays.copyOf(filled, Math.max(4, filled.length));
        blockCount = filled.length;
        length = filled.length * KvPool.BLOCK_POSITIONS;
    }

    /**
     * Takes as many blocks as it needs to hold a number of positions.
     *
     * @param positions the number of positions, those that are there already too
     * @throws ai.djl.lora.LoraMemoryException if there are not so many blocks; those that were
     *     taken stay
     */
    public void reserve(int positions) {
        while (blockCount < KvPool.blocksFor(positions)) {
            int block = allocator.allocate();
            if (blockCount == blocks.length) {
                blocks = Arrays.copyOf(blocks, 2 * blockCount);
            }
            blocks[blockCount++] = block;
        }
    }

    /** Gives all blocks back, the last first; the cache is as it was when it was new. */
    public void clear() {
        for (int i = blockCount - 1; i >= 0; --i) {
            allocator.release(blocks[i]);
        }
        blockCount = 0;
        length = 0;
        begun = null;
    }

    /**
     * Forgets the last tokens, as if they had never been run. Blocks that hold none any more are
     * given back.
     *
     * @param tokens the number of tokens that stay, real and virtual
     */
    public void truncate(int tokens) {
        if (tokens < 0 || tokens > length) {
            throw new IllegalArgumentException(
                    "tokens is " + tokens + "; the cache holds " + length);
        }
        length = tokens;
        while (blockCount > KvPool.blocksFor(tokens)) {
            allocator.release(blocks[--blockCount]);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            clear();
            if (ownsPool) {
                pool.close();
            }
        }
    }

    KvPool pool() {
        return pool;
    }

    int[] blocks() {
        return Arrays.copyOf(blocks, blockCount);
    }

    /** Throws where this cache cannot serve a step of the model that the context belongs to. */
    void requireUsable(LoraContext of) {
        if (closed) {
            throw new IllegalStateException("The sequence's cache is closed");
        }
        if (of != pool.context()) {
            throw new IllegalArgumentException("The sequence's cache belongs to another model");
        }
        pool.requireOpen();
    }

    /** Returns whether an adapter's virtual or invocation tokens are in the cache. */
    boolean isBegunWith(AdapterExtras extras) {
        return begun == extras;
    }

    /**
     * Counts the positions that every layer has written.
     *
     * @param positions the number of positions, with those that were there before
     * @param with the extras of the adapter that began the sequence, null if none did
     */
    void advance(int positions, AdapterExtras with) {
        length = positions;
        begun = with == null ? begun : with;
    }
}
