/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;

/**
 * An adapter as the operator takes it: one block of bytes, and for each module where its parts lie.
 *
 * <p>Parts are rows behind one another in little-endian order: A [rank, inFeatures], then B
 * [outFeatures, rank].
 *
 * @param type the element type of the whole block
 * @param data the block
 * @param entries one entry for each module of the table, by index; null for a module that the
 *     adapter leaves as it is
 */
public record PackedAdapter(ElementType type, byte[] data, Entry[] entries) {

    /**
     * Where a module's parts lie in the block.
     *
     * @param rank the rank, at least 1
     * @param scale the factor of the adapter's product, for LoRA {@code alpha / rank}
     * @param offsetA the first element of A
     * @param offsetB the first element of B
     */
    public record Entry(int rank, float scale, long offsetA, long offsetB) {}
}
