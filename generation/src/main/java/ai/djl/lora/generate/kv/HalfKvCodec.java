/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.NonFinite;
import java.nio.ByteBuffer;

/** Keeps float32 keys and values in IEEE 754 binary16, rounded to nearest even. */
final class HalfKvCodec implements KvCodec {

    private final int bytes;

    HalfKvCodec(KvBlockShape shape) {
        this.bytes = shape.elements() * ElementType.FLOAT16.bytes();
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "float16";
    }

    /** {@inheritDoc} */
    @Override
    public int mostBytes() {
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    public int elementBytes() {
        return ElementType.FLOAT16.bytes();
    }

    /** {@inheritDoc} */
    @Override
    public int encode(byte[] block, byte[] target) {
        ByteBuffer encoded = ByteBuffer.wrap(target, 0, bytes);
        ElementConverter.convert(
                ByteBuffer.wrap(block), ElementType.FLOAT32, encoded, ElementType.FLOAT16);
        // 65,520 and above, which float16 cannot hold, has become infinite
        boolean held = NonFinite.indexOf(encoded.flip(), ElementType.FLOAT16) < 0;
        return held ? bytes : NOT_ENCODED;
    }

    /** {@inheritDoc} */
    @Override
    public void decode(byte[] encoded, int length, byte[] block) {
        if (length != bytes) {
            throw new IllegalArgumentException(
                    "A block in float16 has " + bytes + " bytes; found " + length);
        }
        ElementConverter.convert(
                ByteBuffer.wrap(encoded, 0, length),
                ElementType.FLOAT16,
                ByteBuffer.wrap(block),
                ElementType.FLOAT32);
    }
}
