/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.memory.Arena;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.Defragmentation;
import ai.djl.lora.memory.MoveGuard;
import ai.djl.lora.memory.PoolStatistics;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;

/**
 * The one tensor that the adapters of a native table lie in, and which slot has which part of it.
 *
 * <p>The operator reads a slot where the native table says that it lies, without a pin of its
 * block: what keeps an adapter in its place is that {@link SlotGuard} refuses slots in use. Puts
 * and removals are the table's to do one after another; they may overlap with a defragmentation.
 */
final class AdapterMemory implements AutoCloseable {

    private final Moves moves;
    private final NDArray tensor;
    private final BlockPool<Long> pool;
    private final Map<Integer, Block<Long>> blocks = new ConcurrentHashMap<>();

    /** The slots of blocks that may be moved: those neither being written nor being freed. */
    private final Map<Block<Long>, Integer> slots = new ConcurrentHashMap<>();

    /** The slot that is held for a move. Guarded by the pool's lock. */
    private int held;

    /** What the table does to the adapters that lie in this memory. */
    interface Moves {

        /** Moves the adapter of a slot to another offset of the memory. */
        void move(int slot, long offset);

        /** Gives a part of the memory back to the system, if it can; returns how many bytes. */
        default long discard(long offset, long bytes) {
            return 0;
        }
    }

    /**
     * Constructs a new {@code AdapterMemory} instance.
     *
     * @param tensor the memory [bytes], of elements of one byte; stays its manager's
     * @param moves moves adapters
     */
    AdapterMemory(NDArray tensor, Moves moves) {
        this.tensor = tensor;
        this.moves = moves;
        pool = new BlockPool<>(new TensorArena());
    }

    /**
     * Takes memory.
     *
     * @param manager the manager that will own it
     * @param type the type of the elements, of one byte each
     * @param bytes the size, at least {@link BlockPool#ALIGNMENT}
     * @return [bytes], not set, where the manager's arrays lie
     */
    static NDArray allocate(NDManager manager, int type, long bytes) {
        try {
            return NativeTensorOps.wrap(
                    manager,
                    LoraNative.empty(type, new long[] {bytes}, NativeTensorOps.device(manager)));
        } catch (EngineException e) {
            throw new LoraMemoryException(
                    "Memory for adapters of " + bytes + " bytes was refused by the system", e);
        }
    }

    /** Returns the tensor's handle. */
    long handle() {
        return NativeTensorOps.handle(tensor);
    }

    /**
     * Cuts a block and lets an adapter be written into it.
     *
     * @param slot a slot without an adapter
     * @param bytes what the adapter takes, at least 1
     * @param write puts the adapter into the slot, at the offset that it is given
     * @throws LoraMemoryException if no block in one piece can be had
     */
    void put(int slot, long bytes, LongConsumer write) {
        Block<Long> block = pool.tryAllocate(bytes).orElseThrow(() -> noBlock(bytes));
        boolean written = false;
        try {
            block.access(
                    offset -> {
                        write.accept(offset);
                        return offset;
                    });
            written = true;
        } finally {
            if (!written) {
                pool.free(block);
            }
        }
        blocks.put(slot, block);
        slots.put(block, slot);
    }

    private LoraMemoryException noBlock(long bytes) {
        PoolStatistics statistics = pool.statistics();
        String found =
                statistics.free()
                        + " of "
                        + statistics.limit()
                        + " bytes of adapter memory are free";
        if (statistics.free() < bytes) {
            return new LoraMemoryException("The adapter takes " + bytes + " bytes; " + found);
        }
        return new LoraMemoryException(
                "There is no block of "
                        + bytes
                        + " bytes in one piece; "
                        + found
                        + ", the largest piece has "
                        + statistics.largest());
    }

    /**
     * Lets the adapter in a slot be taken out, and frees its block if it has one.
     *
     * @param slot a slot that holds an adapter
     * @param takeOut takes the adapter out of the native table
     */
    void remove(int slot, Runnable takeOut) {
        Block<Long> block = blocks.get(slot);
        if (block == null) {
            takeOut.run();
            return;
        }
        block.access(offset -> slots.remove(block)); // after a move, and before any other
        takeOut.run();
        blocks.remove(slot);
        pool.free(block);
    }

    PoolStatistics statistics() {
        return pool.statistics();
    }

    Defragmentation defragment(SlotGuard guard) {
        return pool.defragment(
                new MoveGuard<>() {
                    @Override
                    public boolean tryHold(Block<Long> block) {
                        Integer slot = slots.get(block);
                        if (slot == null || !guard.tryHold(slot)) {
                            return false;
                        }
                        held = slot;
                        return true;
                    }

                    @Override
                    public void release(Block<Long> block) {
                        guard.release(held);
                    }
                });
    }

    long trim() {
        return pool.trim();
    }

    /** Ends every block, after a move that is under way. The tensor is its manager's to free. */
    @Override
    public void close() {
        pool.close();
    }

    /** The tensor as the pool sees it; a view is an offset, which is all that the table needs. */
    private final class TensorArena implements Arena<Long> {

        /** {@inheritDoc} */
        @Override
        public long bytes() {
            return tensor.size();
        }

        /** {@inheritDoc} */
        @Override
        public long largestView() {
            return bytes();
        }

        /** {@inheritDoc} */
        @Override
        public Long view(long address, long bytes) {
            return address;
        }

        /** {@inheritDoc} */
        @Override
        public void move(long from, long to, long bytes) {
            moves.move(held, to);
        }

        /** {@inheritDoc} */
        @Override
        public long discard(long address, long bytes) {
            return moves.discard(address, bytes);
        }

        /** {@inheritDoc} */
        @Override
        public void close() {
            // the tensor is its manager's, and the native table keeps its memory while it needs it
        }
    }
}
