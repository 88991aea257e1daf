/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A tensor in the host's memory: its elements' type, its shape and its bytes.
 *
 * <p>The bytes belong to the tensor from its construction on: neither whoever made it nor whoever
 * reads them may change them.
 */
public final class HostTensor {

    private final ElementType type;
    private final long[] shape;
    private final byte[] data;

    /**
     * Constructs a new {@code HostTensor} instance.
     *
     * @param type the type of the elements
     * @param shape the dimensions, empty for a scalar
     * @param data the elements, little endian, rows behind one another; not copied
     * @throws IllegalArgumentException if the shape and the bytes disagree
     */
    public HostTensor(ElementType type, long[] shape, byte[] data) {
        this.type = type;
        this.shape = shape.clone();
        this.data = data;
        long size = type.bytes();
        for (long dimension : shape) {
            if (dimension < 0) {
                throw new IllegalArgumentException(
                        "The shape " + Arrays.toString(shape) + " has a negative dimension");
            }
            size = Math.multiplyExact(size, dimension);
        }
        if (size != data.length) {
            throw new IllegalArgumentException(
                    "A "
                            + type
                            + " tensor of shape "
                            + Arrays.toString(shape)
                            + " takes "
                            + size
                            + " bytes, found "
                            + data.length);
        }
    }

    /**
     * Returns a float32 tensor.
     *
     * @param values the elements, rows behind one another
     * @param shape the dimensions
     * @return the tensor, with a copy of the values
     * @throws IllegalArgumentException if the shape and the number of values disagree
     */
    public static HostTensor of(float[] values, long... shape) {
        byte[] data = new byte[Math.multiplyExact(values.length, Float.BYTES)];
        ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(values);
        return new HostTensor(ElementType.FLOAT32, shape, data);
    }

    /**
     * Returns the type of the elements.
     *
     * @return the type
     */
    public ElementType type() {
        return type;
    }

    /**
     * Returns the dimensions.
     *
     * @return a copy of the shape
     */
    public long[] shape() {
        return shape.clone();
    }

    /**
     * Returns the number of elements.
     *
     * @return the product of the dimensions
     */
    public int elements() {
        return data.length / type.bytes();
    }

    /**
     * Returns the elements' bytes.
     *
     * @return the bytes themselves, little endian, not to be changed
     */
    public byte[] data() {
        return data;
    }

    /**
     * Returns the elements as floats.
     *
     * @return a new array, rows behind one another
     */
    public float[] toFloats() {
        byte[] wide = new byte[data.length / type.bytes() * Float.BYTES];
        ElementConverter.convert(
                ByteBuffer.wrap(data), type, ByteBuffer.wrap(wide), ElementType.FLOAT32);
        float[] floats = new float[wide.length / Float.BYTES];
        ByteBuffer.wrap(wide).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
        return floats;
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return type + " " + Arrays.toString(shape);
    }
}
