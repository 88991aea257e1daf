/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * Says which blocks a {@link BlockPool} may move just now, for owners whose readers do not pin
 * blocks but are counted elsewhere.
 *
 * <p>Both methods are called with the pool's lock held, so neither may wait for a lock under which
 * somebody calls the pool.
 *
 * @param <V> what a block is read and written through
 */
public interface MoveGuard<V> {

    /**
     * Keeps a block's readers and writers away, if there are none.
     *
     * @param block a block that nobody has pinned
     * @return whether the block may be moved until {@link #release}
     */
    boolean tryHold(Block<V> block);

    /**
     * Lets readers and writers in again; the block may lie at another place by then.
     *
     * @param block a block that is held
     */
    void release(Block<V> block);
}
