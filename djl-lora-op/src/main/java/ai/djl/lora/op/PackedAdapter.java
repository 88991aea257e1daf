/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;

/**
 * An adapter as the operator takes it: one block of bytes, and for each module where its parts lie.
 *
 * <p>Parts are rows behind one another in little-endian order: A [rank, inFeatures], B
 * [outFeatures, rank], and where there are any a scale of the outputs [outFeatures] and a bias
 * [outFeatures]:
 *
 * <pre>y = outScale * (W x + scale * B (A x)) + bias</pre>
 *
 * <p>Where there is no bias here the layer's own counts.
 *
 * @param type the element type of the block; with {@code integers}, that of its vectors
 * @param data the block
 * @param entries one entry for each module of the table, by index; null for a module that the
 *     adapter leaves as it is
 * @param integers A and B of every module in 8 bits, in which the offsets of A and B then count; or
 *     null where they are in the block
 */
public record PackedAdapter(
        ElementType type, byte[] data, Entry[] entries, Int8Components integers) {

    /** The offset of a part that is not there. */
    public static final long ABSENT = -1;

    /**
     * Constructs a new {@code PackedAdapter} instance, all of one floating-point type.
     *
     * @param type the element type
     * @param data the block
     * @param entries one entry for each module, or null
     */
    public PackedAdapter(ElementType type, byte[] data, Entry[] entries) {
        this(type, data, entries, null);
    }

    /**
     * Where a module's parts lie, in elements; {@link #ABSENT} for what is not there.
     *
     * @param rank the rank; 0 where the module has no A and B, but a scale of outputs or a bias
     * @param scale the factor of the adapter's product, for LoRA {@code alpha / rank}
     * @param offsetA the first element of A
     * @param offsetB the first element of B
     * @param offsetOutScale the first element of the scale of the outputs
     * @param offsetBias the first element of the bias, which stands in place of the layer's own
     */
    public record Entry(
            int rank,
            float scale,
            long offsetA,
            long offsetB,
            long offsetOutScale,
            long offsetBias) {

        /**
         * Constructs a new {@code Entry} instance of A and B alone.
         *
         * @param rank the rank, at least 1
         * @param scale the factor of the adapter's product
         * @param offsetA the first element of A
         * @param offsetB the first element of B
         */
        public Entry(int rank, float scale, long offsetA, long offsetB) {
            this(rank, scale, offsetA, offsetB, ABSENT, ABSENT);
        }
    }

    /**
     * A and B of every module as 8-bit integers, with a scale for each rank component: element
     * {@code [k, i]} of A is {@code data * scale of A's row k}, element {@code [o, k]} of B {@code
     * data * scale of B's column k}.
     *
     * @param data the integers
     * @param scales for each module in turn those of A's rows and then those of B's columns, rank
     *     each
     */
    public record Int8Components(byte[] data, float[] scales) {}

    /**
     * Returns the size of what is packed.
     *
     * @return the size in bytes
     */
    public long bytes() {
        return integers == null
                ? data.length
                : data.length
                        + integers.data().length
                        + (long) Float.BYTES * integers.scales().length;
    }
}
