/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraMemoryException;
import java.util.BitSet;

/** Gives out the blocks of a pool, each to one sequence, the lowest first. */
final class FreeBlocks implements KvBlockAllocator {

    private final int count;
    private final BitSet taken = new BitSet();

    FreeBlocks(int count) {
        this.count = count;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized int allocate() {
        int block = taken.nextClearBit(0);
        if (block >= count) {
            throw new LoraMemoryException(
                    "All "
                            + count
                            + " blocks of "
                            + KvPool.BLOCK_POSITIONS
                            + " positions are taken; give the pool more, or close caches first");
        }
        taken.set(block);
        return block;
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void release(int block) {
        taken.clear(block);
    }
}
