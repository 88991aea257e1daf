/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.compress.BytePlanes;
import ai.djl.lora.model.KvBlockShape;
import com.github.luben.zstd.Zstd;

/**
 * Keeps keys and values bit for bit, in Zstandard, the elements' bytes in order of their
 * significance: signs and exponents repeat, and the lower bytes hardly do.
 */
final class LosslessKvCodec implements KvCodec {

    private static final int LEVEL = 1;

    private final int bytes;
    private final int width;

    LosslessKvCodec(KvBlockShape shape) {
        this.bytes = Math.toIntExact(shape.bytes());
        this.width = shape.type().bytes();
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "lossless";
    }

    /** {@inheritDoc} */
    @Override
    public int mostBytes() {
        return Math.toIntExact(Zstd.compressBound(bytes));
    }

    /** {@inheritDoc} */
    @Override
    public int elementBytes() {
        return 0;
    }

    /** {@inheritDoc} */
    @Override
    public int encode(byte[] block, byte[] target) {
        byte[] planes = BytePlanes.split(block, bytes, width);
        return check(Zstd.compressByteArray(target, 0, target.length, planes, 0, bytes, LEVEL));
    }

    /** {@inheritDoc} */
    @Override
    public void decode(byte[] encoded, int length, byte[] block) {
        byte[] planes = new byte[bytes];
        int size = check(Zstd.decompressByteArray(planes, 0, bytes, encoded, 0, length));
        if (size != bytes) {
            throw new IllegalStateException("Zstandard gave back " + size + " bytes of " + bytes);
        }
        System.arraycopy(BytePlanes.join(planes, bytes, width), 0, block, 0, bytes);
    }

    private static int check(long result) {
        if (Zstd.isError(result)) {
            throw new IllegalStateException("Zstandard failed: " + Zstd.getErrorName(result));
        }
        return (int) result;
    }
}
