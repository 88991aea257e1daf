/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

/** Says which blocks of a {@link KvPool} a sequence's keys and values go to. */
public interface KvBlockAllocator {

    /**
     * Takes a block that nobody else writes to.
     *
     * @return the block's index in the pool
     * @throws ai.djl.lora.LoraMemoryException if there is none
     */
    int allocate();

    /**
     * Gives a block back that a sequence holds.
     *
     * @param block the block's index in the pool
     */
    void release(int block);
}
