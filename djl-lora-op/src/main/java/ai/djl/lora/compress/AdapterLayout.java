/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.PackedAdapter.Entry;
import ai.djl.lora.op.PackedAdapter.Int8Components;
import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a packed adapter is without its numbers. As one block, its numbers are the elements of its
 * type, then 8-bit integers, then their scales as float32, little endian.
 *
 * @param type the type of the elements
 * @param entries where each module's parts lie; not copied
 * @param dataBytes the size of the elements, in bytes
 * @param integerBytes the number of 8-bit integers, or -1 where A and B are among the elements
 * @param scales the number of the integers' scales
 */
public record AdapterLayout(
        ElementType type, Entry[] entries, int dataBytes, int integerBytes, int scales) {

    /** The JVM's largest array, by the margin that its own collections keep. */
    private static final int MAX_BYTES = Integer.MAX_VALUE - 8;

    /**
     * Returns an adapter's layout.
     *
     * @param adapter the adapter
     * @return the layout
     * @throws LoraMemoryException if the adapter has 2 GiB or more
     */
    static AdapterLayout of(PackedAdapter adapter) {
        if (adapter.bytes() > MAX_BYTES) {
            throw new LoraMemoryException(
                    "The adapter has "
                            + adapter.bytes()
                            + " bytes; one block of the host's tier holds at most "
                            + MAX_BYTES);
        }
        Int8Components integers = adapter.integers();
        return new AdapterLayout(
                adapter.type(),
                adapter.entries(),
                adapter.data().length,
                integers == null ? -1 : integers.data().length,
                integers == null ? 0 : integers.scales().length);
    }

    /**
     * Returns whether A and B are 8-bit integers.
     *
     * @return whether there are integers
     */
    public boolean hasIntegers() {
        return integerBytes >= 0;
    }

    /**
     * Returns the size of the numbers as one block.
     *
     * @return the size in bytes
     */
    public int bytes() {
        return hasIntegers() ? dataBytes + integerBytes + scales * Float.BYTES : dataBytes;
    }

    /**
     * Returns an adapter's numbers as one block.
     *
     * @param adapter an adapter of this layout
     * @return the numbers; the adapter's own array where that is all there is
     */
    public byte[] block(PackedAdapter adapter) {
        if (!hasIntegers()) {
            return adapter.data();
        }
        ByteBuffer block = ByteBuffer.allocate(bytes()).order(ByteOrder.LITTLE_ENDIAN);
        block.put(adapter.data()).put(adapter.integers().data());
        block.asFloatBuffer().put(adapter.integers().scales());
        return block.array();
    }

    /**
     * Returns the adapter of which a block has the numbers.
     *
     * @param source the block, from its position on
     * @return an adapter of this layout
     */
    public PackedAdapter adapter(ByteBuffer source) {
        ByteBuffer block = source.order(ByteOrder.LITTLE_ENDIAN);
        byte[] data = new byte[dataBytes];
        block.get(data);
        if (!hasIntegers()) {
            return new PackedAdapter(type, data, entries);
        }
        byte[] integers = new byte[integerBytes];
        block.get(integers);
        float[] factors = new float[scales];
        block.asFloatBuffer().get(factors);
        block.position(block.position() + scales * Float.BYTES);
        return new PackedAdapter(type, data, entries, new Int8Components(integers, factors));
    }
}
