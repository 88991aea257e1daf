/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/**
 * The keys and values of one sequence's tokens, layer by layer.
 *
 * <p>The memory doubles when it is full, up to the model's positions, and is freed by {@link
 * #close()}. A cache serves one step at a time.
 */
public final class KvCache implements AutoCloseable {

    private static final int FIRST_CAPACITY = 32;

    private final LlamaConfig config;
    private final LoraContext context;
    private final NDManager manager;
    private final NDArray[] keys;
    private final NDArray[] values;
    private int capacity;
    private int length;
    private AdapterExtras begun;
    private boolean closed;

    KvCache(LlamaConfig config, LoraContext context, NDManager parent) {
        this.config = config;
        this.context = context;
        this.manager = parent.newSubManager();
        manager.setName("kvCache");
        this.keys = new NDArray[config.numHiddenLayers()];
        this.values = new NDArray[config.numHiddenLayers()];
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
     * Returns the memory that the cache takes, used or not yet.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return 2L
                * config.numHiddenLayers()
                * capacity
                * config.numKeyValueHeads()
                * config.headDim()
                * context.getType().bytes();
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            capacity = 0;
            manager.close();
        }
    }

    /** Throws where this cache cannot serve a step of the model that the context belongs to. */
    void requireUsable(LoraContext of) {
        if (closed) {
            throw new IllegalStateException("The sequence's cache is closed");
        }
        if (of != context) {
            throw new IllegalArgumentException("The sequence's cache belongs to another model");
        }
    }

    /** Makes room for the given number of positions. */
    void reserve(int needed) {
        if (needed <= capacity) {
            return;
        }
        int doubled = Math.max(FIRST_CAPACITY, 2 * capacity);
        int larger = Math.max(needed, Math.min(doubled, config.maxPositionEmbeddings()));
        for (int layer = 0; layer < keys.length; ++layer) {
            keys[layer] = enlarged(keys[layer], larger);
            values[layer] = enlarged(values[layer], larger);
        }
        capacity = larger;
    }

    private NDArray enlarged(NDArray old, int rows) {
        TensorOps ops = context.getOps();
        Shape shape = new Shape(rows, config.numKeyValueHeads(), config.headDim());
        NDArray array = ops.zeros(manager, shape, context.getType());
        if (old != null) {
            if (length > 0) {
                try (NDArray filled = ops.rows(old, 0, length)) {
                    ops.copyRows(array, 0, filled);
                }
            }
            old.close();
        }
        return array;
    }

    /** Writes a layer's keys and values [tokens, heads, dim] from the given position on. */
    void write(int layer, int position, NDArray newKeys, NDArray newValues) {
        context.getOps().copyRows(keys[layer], position, newKeys);
        context.getOps().copyRows(values[layer], position, newValues);
    }

    /** Returns a view of a layer's keys, attached to the given manager. */
    NDArray keys(int layer, int from, int to, NDManager viewManager) {
        return view(keys[layer], from, to, viewManager);
    }

    /** Returns a view of a layer's values, attached to the given manager. */
    NDArray values(int layer, int from, int to, NDManager viewManager) {
        return view(values[layer], from, to, viewManager);
    }

    private NDArray view(NDArray array, int from, int to, NDManager viewManager) {
        NDArray view = context.getOps().rows(array, from, to);
        view.attach(viewManager);
        return view;
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
