/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.NonFinite;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/** Keeps a float32 adapter in a type of 16 bits, rounded to nearest even. */
final class HalfCodec implements HostCodec {

    private final ElementType type;

    /**
     * Constructs a new {@code HalfCodec} instance.
     *
     * @param type float16 or bfloat16
     */
    HalfCodec(ElementType type) {
        this.type = type;
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return type.label();
    }

    /** {@inheritDoc} */
    @Override
    public boolean isLossless() {
        return false;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        if (adapter.type() != ElementType.FLOAT32 || adapter.integers() != null) {
            return Optional.empty();
        }
        byte[] data = adapter.data();
        byte[] encoded = new byte[data.length / Float.BYTES * type.bytes()];
        ElementConverter.convert(
                ByteBuffer.wrap(data), ElementType.FLOAT32, ByteBuffer.wrap(encoded), type);
        int infinite = NonFinite.indexOf(ByteBuffer.wrap(encoded), type);
        if (infinite >= 0) {
            float value =
                    ByteBuffer.wrap(data)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .getFloat(infinite * Float.BYTES);
            throw new LoraOffloadException(
                    "The adapter cannot be kept as "
                            + type
                            + ": element "
                            + infinite
                            + " is "
                            + value
                            + ", which that type cannot hold");
        }
        return Optional.of(encoded);
    }

    /** {@inheritDoc} */
    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        byte[] data = new byte[layout.dataBytes()];
        ElementConverter.convert(encoded, type, ByteBuffer.wrap(data), ElementType.FLOAT32);
        return new PackedAdapter(ElementType.FLOAT32, data, layout.entries());
    }
}
