/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.BitSet;

/** Hands out slot numbers, the lowest free one first. */
final class SlotAllocator {

    private final BitSet used = new BitSet();

    synchronized int take() {
        int slot = used.nextClearBit(0);
        used.set(slot);
        return slot;
    }

    /** Takes a given slot; returns whether it was free. */
    synchronized boolean take(int slot) {
        boolean free = !used.get(slot);
        used.set(slot);
        return free;
    }

    synchronized void release(int slot) {
        used.clear(slot);
    }

    synchronized boolean isUsed(int slot) {
        return slot >= 0 && used.get(slot);
    }
}
