/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.op.Int8Packing;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.PackedAdapter.Entry;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Keeps A and B as 8-bit integers with one scale for each rank component, as {@link Int8Packing}
 * rounds them. Scales of outputs and biases keep their type.
 *
 * <p>Encoded are the integers of all modules in turn, their scales, and the vectors.
 */
final class Int8Codec implements HostCodec {

    private final List<LoraModule> modules;

    /**
     * Constructs a new {@code Int8Codec} instance.
     *
     * @param modules the modules that adapters are packed for
     */
    Int8Codec(List<LoraModule> modules) {
        this.modules = List.copyOf(modules);
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "int8";
    }

    /** {@inheritDoc} */
    @Override
    public boolean isLossless() {
        return false;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        if (adapter.integers() != null) {
            return Optional.empty();
        }
        PackedAdapter rounded = Int8Packing.round(adapter, modules);
        float[] scales = rounded.integers().scales();
        ByteBuffer encoded =
                ByteBuffer.allocate(Math.toIntExact(rounded.bytes()))
                        .order(ByteOrder.LITTLE_ENDIAN);
        encoded.put(rounded.integers().data());
        for (float scale : scales) {
            encoded.putFloat(scale);
        }
        encoded.put(rounded.data());
        return Optional.of(encoded.array());
    }

    /** {@inheritDoc} */
    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        ElementType type = layout.type();
        int weights = 0;
        int components = 0;
        for (LoraModule module : modules) {
            Entry entry = layout.entries()[module.index()];
            if (entry != null) {
                weights += entry.rank() * (module.inFeatures() + module.outFeatures());
                components += 2 * entry.rank();
            }
        }
        byte[] integers = new byte[weights];
        encoded.get(integers);
        float[] scales = new float[components];
        encoded.order(ByteOrder.LITTLE_ENDIAN);
        encoded.asFloatBuffer().get(scales);
        encoded.position(encoded.position() + components * Float.BYTES);
        ByteBuffer data = ByteBuffer.allocate(layout.dataBytes());
        int at = 0;
        int component = 0;
        for (LoraModule module : modules) {
            Entry entry = layout.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            int rank = entry.rank();
            int in = module.inFeatures();
            int out = module.outFeatures();
            if (rank > 0) {
                float[] a = new float[rank * in];
                for (int k = 0; k < rank; ++k) {
                    float scale = scales[component + k];
                    for (int i = k * in; i < (k + 1) * in; ++i) {
                        a[i] = integers[at + i] * scale;
                    }
                }
                write(a, data, entry.offsetA(), type);
                at += rank * in;
                component += rank;
                float[] b = new float[out * rank];
                for (int o = 0; o < out; ++o) {
                    for (int k = 0; k < rank; ++k) {
                        int i = o * rank + k;
                        b[i] = integers[at + i] * scales[component + k];
                    }
                }
                write(b, data, entry.offsetB(), type);
                at += rank * out;
                component += rank;
            }
            copy(encoded, data, entry.offsetOutScale(), out, type);
            copy(encoded, data, entry.offsetBias(), out, type);
        }
        return new PackedAdapter(type, data.array(), layout.entries());
    }

    private static void write(float[] values, ByteBuffer data, long offset, ElementType type) {
        ByteBuffer wide =
                ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        FloatBuffer floats = wide.asFloatBuffer();
        floats.put(values);
        ElementConverter.convert(wide, ElementType.FLOAT32, at(data, offset, type), type);
    }

    private static void copy(
            ByteBuffer encoded, ByteBuffer data, long offset, int count, ElementType type) {
        if (offset != PackedAdapter.ABSENT) {
            int bytes = count * type.bytes();
            at(data, offset, type).put(encoded.slice(encoded.position(), bytes));
            encoded.position(encoded.position() + bytes);
        }
    }

    private static ByteBuffer at(ByteBuffer data, long offset, ElementType type) {
        return data.duplicate().position(Math.toIntExact(offset * type.bytes()));
    }
}
