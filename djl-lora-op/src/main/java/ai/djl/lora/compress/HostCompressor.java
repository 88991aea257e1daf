/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * Encodes adapters with a codec, and decodes each once to measure what was lost and to know what
 * must come back. What the codec does not make smaller stays as it is. Has no state: any number of
 * threads may use it at once.
 */
public final class HostCompressor {

    private static final HostCodec PLAIN = new PlainCodec();
    private static final int CHUNK = 1 << 14;

    private final HostCodec codec;

    /**
     * Constructs a new {@code HostCompressor} instance.
     *
     * @param codec the codec
     */
    public HostCompressor(HostCodec codec) {
        this.codec = codec;
    }

    /**
     * Encodes an adapter.
     *
     * @param adapter the adapter, which is not kept
     * @return its bytes, and how to get it back
     * @throws LoraOffloadException if the adapter cannot be held like this, or a lossless codec did
     *     not give it back as it was
     * @throws LoraMemoryException if the adapter has 2 GiB or more
     */
    public EncodedAdapter encode(PackedAdapter adapter) {
        AdapterLayout layout = AdapterLayout.of(adapter);
        Optional<byte[]> smaller =
                codec.encode(adapter).filter(bytes -> bytes.length < layout.bytes());
        if (smaller.isEmpty()) {
            byte[] block = layout.block(adapter);
            int size = layout.bytes();
            CompressionReport report = new CompressionReport(PLAIN.label(), size, size, 0, 0);
            return new EncodedAdapter(new Encoding(PLAIN, layout, adapter, report), block);
        }
        return encoded(codec, layout, adapter, smaller.get());
    }

    private static EncodedAdapter encoded(
            HostCodec used, AdapterLayout layout, PackedAdapter adapter, byte[] data) {
        PackedAdapter decoded = used.decode(layout, ByteBuffer.wrap(data));
        boolean same = Arrays.equals(layout.block(decoded), layout.block(adapter));
        if (used.isLossless() && !same) {
            throw new LoraOffloadException(
                    "The lossless codec "
                            + used.label()
                            + " did not give an adapter back as it was");
        }
        Loss loss = same ? new Loss(0, 0) : loss(adapter, decoded);
        CompressionReport report =
                new CompressionReport(
                        used.label(), layout.bytes(), data.length, loss.max, loss.relativeRms);
        return new EncodedAdapter(new Encoding(used, layout, decoded, report), data);
    }

    private record Loss(double max, double relativeRms) {}

    private static Loss loss(PackedAdapter adapter, PackedAdapter decoded) {
        int width = adapter.type().bytes();
        double max = 0;
        double lost = 0;
        double all = 0;
        for (int from = 0; from < adapter.data().length; from += CHUNK * width) {
            int bytes = Math.min(CHUNK * width, adapter.data().length - from);
            FloatBuffer before = floats(adapter, from, bytes);
            FloatBuffer after = floats(decoded, from, bytes);
            for (int i = 0; i < before.limit(); ++i) {
                double value = before.get(i);
                double difference = after.get(i) - value;
                max = Math.max(max, Math.abs(difference));
                lost += difference * difference;
                all += value * value;
            }
        }
        return new Loss(max, lost == 0 ? 0 : Math.sqrt(lost / all));
    }

    private static FloatBuffer floats(PackedAdapter adapter, int from, int bytes) {
        ByteBuffer wide =
                ByteBuffer.allocate(bytes / adapter.type().bytes() * Float.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN);
        ElementConverter.convert(
                ByteBuffer.wrap(adapter.data(), from, bytes),
                adapter.type(),
                wide,
                ElementType.FLOAT32);
        return wide.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    }
}
