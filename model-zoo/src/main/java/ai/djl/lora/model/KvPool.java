/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.KvPages;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PagedBatch;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/**
 * Memory for the keys and values of many sequences, in blocks of a fixed number of positions that
 * any sequence may have (arXiv 2309.06180). A block has its part in every layer.
 *
 * <p>Address space is taken at once, memory as blocks are first written where the backend allows.
 * Caches of one pool take one operator call per layer together. The pool must outlive its caches.
 */
public final class KvPool implements AutoCloseable {

    /** The number of positions in a block. */
    public static final int BLOCK_POSITIONS = 16;

    private final LlamaConfig config;
    private final LoraContext context;
    private final NDManager manager;
    private final KvPages[] layers;
    private final int blocks;
    private final KvType type;
    private final KvBlockAllocator allocator;
    private boolean closed;

    KvPool(LlamaConfig config, LoraContext context, NDManager parent, int blocks, KvType type) {
        if (blocks < 1) {
            throw new IllegalArgumentException(
                    "The pool has " + blocks + " blocks; it must have 1 or more");
        }
        this.config = config;
        this.context = context;
        this.blocks = blocks;
        this.type = type;
        this.allocator = new FreeBlocks(blocks);
        this.manager = parent.newSubManager();
        manager.setName("kvPool");
        this.layers = new KvPages[config.numHiddenLayers()];
        long heads = config.numKeyValueHeads();
        long dim = config.headDim();
        TensorOps ops = context.getOps();
        boolean made = false;
        try {
            for (int layer = 0; layer < layers.length; ++layer) {
                Shape keys = new Shape(blocks, heads, dim, BLOCK_POSITIONS);
                Shape values = new Shape(blocks, heads, BLOCK_POSITIONS, dim);
                layers[layer] =
                        type == KvType.INT8
                                ? ops.int8Pages(manager, blocks, heads, dim, BLOCK_POSITIONS)
                                : new KvPages(
                                        ops.empty(manager, keys, context.getType()),
                                        ops.empty(manager, values, context.getType()));
            }
            made = true;
        } finally {
            if (!made) {
                manager.close();
            }
        }
    }

    /**
     * Returns the memory that a block of a model takes, in all layers together.
     *
     * @param model the model
     * @return the size in bytes
     */
    public static long bytesPerBlock(CausalLanguageModel model) {
        return bytesPerBlock(model, KvType.MODEL);
    }

    /**
     * Returns the memory that a block of a model takes, in all layers together.
     *
     * @param model the model
     * @param type how the block's keys and values are held
     * @return the size in bytes
     */
    public static long bytesPerBlock(CausalLanguageModel model, KvType type) {
        return bytesPerBlock(model.getConfig(), model.getLoraContext(), type);
    }

    private static long bytesPerBlock(LlamaConfig config, LoraContext context, KvType type) {
        KvBlockShape shape = blockShape(config, context);
        return type == KvType.INT8
                ? (long) shape.elements() / shape.dim() * (shape.dim() + KvPages.SCALE_BYTES)
                : shape.bytes();
    }

    private static KvBlockShape blockShape(LlamaConfig config, LoraContext context) {
        return new KvBlockShape(
                config.numHiddenLayers(),
                config.numKeyValueHeads(),
                config.headDim(),
                BLOCK_POSITIONS,
                context.getType());
    }

    /**
     * Returns the order of a block's elements.
     *
     * @return the shape of what {@link #readBlock} gives
     * @throws IllegalStateException if the pool does not hold elements of the model's type
     */
    public KvBlockShape blockShape() {
        if (type != KvType.MODEL) {
            throw new IllegalStateException("The pool's blocks are in " + type);
        }
        return blockShape(config, context);
    }

    /**
     * Copies a block out of the pool.
     *
     * @param block the block's index
     * @param target where its elements go, {@link #bytesPerBlock()} bytes
     */
    public void readBlock(int block, byte[] target) {
        TensorOps ops = context.getOps();
        int at = 0;
        for (KvPages pages : layers) {
            at = ops.readRow(pages.keys(), block, target, at);
            at = ops.readRow(pages.values(), block, target, at);
        }
    }

    /**
     * Copies a block into the pool. Nobody may be reading it.
     *
     * @param block the block's index
     * @param source its elements, as {@link #readBlock} gives them
     */
    public void writeBlock(int block, byte[] source) {
        TensorOps ops = context.getOps();
        int at = 0;
        for (KvPages pages : layers) {
            at = ops.writeRow(pages.keys(), block, source, at);
            at = ops.writeRow(pages.values(), block, source, at);
        }
    }

    /**
     * Returns how many blocks hold a number of positions.
     *
     * @param positions the number of positions
     * @return the number of blocks
     */
    public static int blocksFor(int positions) {
        return (positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS;
    }

    /**
     * Returns the memory that a block takes, in all layers together.
     *
     * @return the size in bytes
     */
    public long bytesPerBlock() {
        return bytesPerBlock(config, context, type);
    }

    /**
     * Returns the number of blocks.
     *
     * @return the number of blocks
     */
    public int blocks() {
        return blocks;
    }

    /**
     * Makes the empty cache of a new sequence, which takes blocks as it grows.
     *
     * @return the cache, to be closed by the caller
     */
    public KvCache newCache() {
        return new KvCache(this, allocator, false);
    }

    /**
     * Makes the empty cache of a new sequence, which asks for its blocks. All caches of a pool must
     * ask the same.
     *
     * @param blockAllocator who gives out the pool's blocks
     * @return the cache, to be closed by the caller
     */
    public KvCache newCache(KvBlockAllocator blockAllocator) {
        return new KvCache(this, blockAllocator, false);
    }

    /** Makes a cache that is the only one of this pool and closes it. */
    KvCache newOnlyCache() {
        return new KvCache(this, allocator, true);
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            manager.close();
        }
    }

    LoraContext context() {
        return context;
    }

    KvPages pages(int layer) {
        return layers[layer];
    }

    void requireOpen() {
        if (closed) {
            throw new IllegalStateException("The pool of the sequence's cache is closed");
        }
    }

    /** Writes keys and values [positions, heads, dim] of a layer to a sequence's positions. */
    void write(int layer, PagedBatch batch, NDArray keys, NDArray values) {
        context.getOps().write(keys, values, layers[layer], batch);
    }
}
