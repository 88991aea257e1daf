/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HalfPrecision;

/**
 * Keeps keys and values as 8-bit integers. Keys have a scale for each channel, (head, component)
 * over the block's positions; values have one for each position of a head: a few channels of keys
 * are far larger than the others at all positions, and values have no such channels (KIVI, arXiv
 * 2402.02750). Either is a row of neighbouring elements of the block.
 *
 * <p>A scale is the row's largest magnitude over 127, rounded up to bfloat16, so that an element is
 * off by at most half of it, which is a little more than a 254th of the largest. Encoded are all
 * integers, in the block's order, and then the scales.
 */
final class Int8KvCodec implements KvCodec {

    private static final int LARGEST = 127;

    /** 1.5 * 2^23: what is added to it is rounded to an integer, which its lowest bits hold. */
    private static final float ROUNDER = 0x1.8p23f;

    private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

    private static final float LARGEST_HALF = 65_504;

    /** That of bfloat16, and nearly that of float32. */
    private static final float LARGEST_BFLOAT = 0x1.fep127f;

    private final KvBlockShape shape;
    private final BlockFloats floats;
    private final int rows;

    /** The largest magnitude that the type holds when it comes back a 128th larger. */
    private final float most;

    Int8KvCodec(KvBlockShape shape) {
        this.shape = shape;
        this.floats = new BlockFloats(shape);
        this.most = 0.99f * (shape.type() == ElementType.FLOAT16 ? LARGEST_HALF : LARGEST_BFLOAT);
        this.rows = shape.layers() * shape.heads() * (shape.dim() + shape.positions());
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "int8";
    }

    /** {@inheritDoc} */
    @Override
    public int mostBytes() {
        return shape.elements() + rows * Short.BYTES;
    }

    /** {@inheritDoc} */
    @Override
    public int elementBytes() {
        return 1;
    }

    /** {@inheritDoc} */
    @Override
    public int encode(byte[] block, byte[] target) {
        float[] values = floats.read(block);
        int scaleAt = shape.elements();
        int at = 0;
        for (int layer = 0; layer < shape.layers(); ++layer) {
            for (int part = 0; part < 2; ++part) {
                int length = rowLength(part);
                int end = at + shape.layerKeys();
                for (; at < end; at += length) {
                    short bits = encode(values, at, length, target);
                    if (bits < 0) {
                        return NOT_ENCODED;
                    }
                    target[scaleAt++] = (byte) bits;
                    target[scaleAt++] = (byte) (bits >> Byte.SIZE);
                }
            }
        }
        return scaleAt;
    }

    /* Of keys a row is a channel, of values a position. */
    private int rowLength(int part) {
        return part == 0 ? shape.positions() : shape.dim();
    }

    /** Returns the bits of the row's scale, below 0 where an element is too large or no number. */
    private short encode(float[] values, int from, int count, byte[] target) {
        // ordered as the magnitudes are, and whatever is not finite above all others
        int largest = 0;
        for (int i = from; i < from + count; ++i) {
            largest = Math.max(largest, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
        }
        float magnitude = Float.intBitsToFloat(largest);
        if (!(magnitude <= most)) {
            return -1;
        }
        short bits = scaleBits(magnitude / LARGEST);
        float scale = HalfPrecision.fromBfloat16(bits);
        float inverse = bits == 0 ? 0 : 1 / scale;
        for (int i = from; i < from + count; ++i) {
            float rounded = values[i] * inverse + ROUNDER;
            target[i] = (byte) (Float.floatToRawIntBits(rounded) - ROUNDER_BITS);
        }
        return bits;
    }

    /* What is below float32's normal numbers has no inverse, and is as good as zero. */
    private static short scaleBits(float scale) {
        if (scale < Float.MIN_NORMAL) {
            return 0;
        }
        return (short) (Float.floatToRawIntBits(scale) + 0xffff >>> Short.SIZE);
    }

    /** {@inheritDoc} */
    @Override
    public void decode(byte[] encoded, int length, byte[] block) {
        if (length != mostBytes()) {
            throw new IllegalArgumentException(
                    "A block in int8 has " + mostBytes() + " bytes; found " + length);
        }
        float[] values = floats.values();
        int scaleAt = shape.elements();
        int at = 0;
        for (int layer = 0; layer < shape.layers(); ++layer) {
            for (int part = 0; part < 2; ++part) {
                int count = rowLength(part);
                int end = at + shape.layerKeys();
                while (at < end) {
                    int bits = encoded[scaleAt] & 0xff | encoded[scaleAt + 1] << Byte.SIZE;
                    float scale = HalfPrecision.fromBfloat16((short) bits);
                    scaleAt += Short.BYTES;
                    int rowEnd = at + count;
                    for (; at < rowEnd; ++at) {
                        values[at] = encoded[at] * scale;
                    }
                }
            }
        }
        floats.write(block);
    }
}
