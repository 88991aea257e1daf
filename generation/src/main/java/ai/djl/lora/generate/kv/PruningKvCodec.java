/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.model.KvBlockShape;
import java.util.Arrays;

/**
 * Drops the smallest entries before another codec keeps the rest: in each layer's keys, and in its
 * values, up to the given share of the entries become zero, those of the least magnitude.
 *
 * <p>Where the other codec gives every element the same number of bytes, one bit for each tells
 * whether it is there, and those that are zero are left out.
 */
final class PruningKvCodec implements KvCodec {

    /** Magnitudes are told apart by the upper half of their bits, 7 of them of the mantissa. */
    private static final int MAGNITUDES = 1 << 15;

    private final KvCodec codec;
    private final double share;
    private final int parts;
    private final int partLength;
    private final BlockFloats floats;
    private final byte[] pruned;
    private final byte[] dense;
    private final int[] counts = new int[MAGNITUDES];

    /**
     * Constructs a new {@code PruningKvCodec} instance.
     *
     * @param codec keeps what is left
     * @param shape the shape of a block
     * @param share the share of entries to drop, above 0 and below 1
     */
    PruningKvCodec(KvCodec codec, KvBlockShape shape, double share) {
        this.codec = codec;
        this.share = share;
        this.parts = 2 * shape.layers();
        this.partLength = shape.layerKeys();
        this.floats = new BlockFloats(shape);
        this.pruned = new byte[Math.toIntExact(shape.bytes())];
        this.dense = new byte[codec.mostBytes()];
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return codec.label() + " pruned";
    }

    /** {@inheritDoc} */
    @Override
    public int mostBytes() {
        return maskBytes() + codec.mostBytes();
    }

    /** {@inheritDoc} */
    @Override
    public int elementBytes() {
        return 0;
    }

    private int maskBytes() {
        return codec.elementBytes() == 0 ? 0 : (elements() + Byte.SIZE - 1) / Byte.SIZE;
    }

    private int elements() {
        return parts * partLength;
    }

    /** {@inheritDoc} */
    @Override
    public int encode(byte[] block, byte[] target) {
        float[] values = floats.read(block);
        for (int part = 0; part < parts; ++part) {
            prune(values, part * partLength);
        }
        floats.write(pruned);
        int width = codec.elementBytes();
        if (width == 0) {
            return codec.encode(pruned, target);
        }
        int length = codec.encode(pruned, dense);
        if (length == NOT_ENCODED) {
            return NOT_ENCODED;
        }
        int to = maskBytes();
        Arrays.fill(target, 0, to, (byte) 0);
        for (int i = 0; i < elements(); ++i) {
            int at = i * width;
            boolean zero = dense[at] == 0 && dense[at + width - 1] == 0;
            if (!zero) {
                target[i / Byte.SIZE] |= (byte) (1 << i % Byte.SIZE);
                for (int k = 0; k < width; ++k) {
                    target[to++] = dense[at + k];
                }
            }
        }
        int rest = elements() * width;
        System.arraycopy(dense, rest, target, to, length - rest);
        return to + length - rest;
    }

    private void prune(float[] values, int from) {
        Arrays.fill(counts, 0);
        for (int i = from; i < from + partLength; ++i) {
            ++counts[magnitude(values[i])];
        }
        int most = (int) (share * partLength);
        int threshold = 0;
        for (int dropped = 0; threshold < MAGNITUDES; ++threshold) {
            dropped += counts[threshold];
            if (dropped > most) {
                break;
            }
        }
        for (int i = from; i < from + partLength; ++i) {
            if (magnitude(values[i]) < threshold) {
                values[i] = 0;
            }
        }
    }

    private static int magnitude(float value) {
        return (Float.floatToRawIntBits(value) & Integer.MAX_VALUE) >>> Short.SIZE;
    }

    /** {@inheritDoc} */
    @Override
    public void decode(byte[] encoded, int length, byte[] block) {
        int width = codec.elementBytes();
        if (width == 0) {
            codec.decode(encoded, length, block);
            return;
        }
        int from = maskBytes();
        int end = elements() * width;
        Arrays.fill(dense, 0, end, (byte) 0);
        for (int i = 0; i < elements(); ++i) {
            if ((encoded[i / Byte.SIZE] >> i % Byte.SIZE & 1) != 0) {
                for (int k = 0; k < width; ++k) {
                    dense[i * width + k] = encoded[from++];
                }
            }
        }
        System.arraycopy(encoded, from, dense, end, length - from);
        codec.decode(dense, end + length - from, block);
    }
}
