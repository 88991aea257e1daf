/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

/**
 * Says which slots of an {@link AdapterTable} may be moved within its memory just now: those that
 * no step uses.
 *
 * <p>Both methods are called with a lock held that puts and removals of the table need, so neither
 * may wait for a lock under which the table is called. A count of leases that is changed by
 * compare-and-set is what is meant.
 */
public interface SlotGuard {

    /**
     * Keeps users away from a slot, if it has none.
     *
     * @param slot a slot that holds an adapter
     * @return whether nobody computes with the slot or removes it until {@link #release}
     */
    boolean tryHold(int slot);

    /**
     * Lets users in again.
     *
     * @param slot a slot that is held
     */
    void release(int slot);
}
