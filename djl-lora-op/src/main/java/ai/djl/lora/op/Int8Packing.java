/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.op.PackedAdapter.Entry;
import ai.djl.lora.op.PackedAdapter.Int8Components;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * Rounds an adapter's A and B to 8-bit integers with one scale for each rank component: the rows of
 * A and the columns of B. A component's largest magnitude becomes 127, so that an element is off by
 * at most half of a 127th of it.
 *
 * <p>A scale for each component, and not one for each matrix, costs nothing in the operator: both
 * are factors of the same element of A x.
 */
public final class Int8Packing {

    private static final int LARGEST = 127;

    private Int8Packing() {}

    /**
     * Rounds an adapter.
     *
     * @param adapter the adapter, packed in a floating-point type
     * @param modules the modules that it is packed for
     * @return the adapter with A and B in 8 bits; scales of outputs and biases keep their type
     * @throws LoraMemoryException if A and B have 2^31 elements or more
     */
    public static PackedAdapter round(PackedAdapter adapter, List<LoraModule> modules) {
        long elements = 0;
        int components = 0;
        long vectors = 0;
        for (LoraModule module : modules) {
            Entry entry = adapter.entries()[module.index()];
            if (entry != null) {
                elements +=
                        entry.rank() * ((long) module.inFeatures() + (long) module.outFeatures());
                components += 2 * entry.rank();
                vectors += entry.offsetOutScale() < 0 ? 0 : module.outFeatures();
                vectors += entry.offsetBias() < 0 ? 0 : module.outFeatures();
            }
        }
        if (elements > Integer.MAX_VALUE - 8) {
            throw new LoraMemoryException(
                    "The adapter has " + elements + " weights; at most 2^31 - 9 can be rounded");
        }
        byte[] integers = new byte[(int) elements];
        float[] scales = new float[components];
        ByteBuffer kept = ByteBuffer.allocate(Math.toIntExact(vectors * adapter.type().bytes()));
        Entry[] entries = new Entry[modules.size()];
        int element = 0;
        int component = 0;
        for (LoraModule module : modules) {
            Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            int rank = entry.rank();
            int in = module.inFeatures();
            int out = module.outFeatures();
            boolean product = rank > 0;
            int offsetA = element;
            int offsetB = element + rank * in;
            if (product) {
                FloatBuffer a = floats(adapter, entry.offsetA(), rank * in);
                FloatBuffer b = floats(adapter, entry.offsetB(), rank * out);
                for (int k = 0; k < rank; ++k) {
                    scales[component + k] = round(a, k * in, 1, in, integers, offsetA + k * in);
                    scales[component + rank + k] = round(b, k, rank, out, integers, offsetB + k);
                }
            }
            element += rank * (in + out);
            component += 2 * rank;
            entries[module.index()] =
                    new Entry(
                            rank,
                            entry.scale(),
                            product ? offsetA : PackedAdapter.ABSENT,
                            product ? offsetB : PackedAdapter.ABSENT,
                            keep(adapter, entry.offsetOutScale(), out, kept),
                            keep(adapter, entry.offsetBias(), out, kept));
        }
        return new PackedAdapter(
                adapter.type(), kept.array(), entries, new Int8Components(integers, scales));
    }

    /**
     * Writes an adapter in 8 bits out in its floating-point type, for tables that hold no other.
     * Its numbers stay those that it was rounded to, but for one more rounding to the type.
     *
     * @param adapter the adapter, with A and B in 8 bits
     * @param modules the modules that it is packed for
     * @return the adapter with everything in one block
     */
    static PackedAdapter widen(PackedAdapter adapter, List<LoraModule> modules) {
        ElementType type = adapter.type();
        byte[] integers = adapter.integers().data();
        float[] scales = adapter.integers().scales();
        long bytes = adapter.data().length + (long) integers.length * type.bytes();
        ByteBuffer block =
                ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
        block.put(adapter.data());
        Entry[] entries = new Entry[modules.size()];
        int component = 0;
        for (LoraModule module : modules) {
            Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            int rank = entry.rank();
            int in = module.inFeatures();
            float[] a = new float[rank * in];
            float[] b = new float[rank * module.outFeatures()];
            for (int i = 0; i < a.length; ++i) {
                a[i] = integers[(int) entry.offsetA() + i] * scales[component + i / in];
            }
            for (int i = 0; i < b.length; ++i) {
                b[i] = integers[(int) entry.offsetB() + i] * scales[component + rank + i % rank];
            }
            component += 2 * rank;
            entries[module.index()] =
                    new Entry(
                            rank,
                            entry.scale(),
                            write(block, a, type),
                            write(block, b, type),
                            entry.offsetOutScale(),
                            entry.offsetBias());
        }
        return new PackedAdapter(type, block.array(), entries);
    }

    private static long write(ByteBuffer block, float[] values, ElementType type) {
        if (values.length == 0) {
            return PackedAdapter.ABSENT;
        }
        int start = block.position();
        HostTensor tensor = HostTensor.of(values, values.length);
        ElementConverter.convert(ByteBuffer.wrap(tensor.data()), tensor.type(), block, type);
        return start / type.bytes();
    }

    /* Rounds a row or a column; both matrices keep their layout. Returns the scale. */
    private static float round(
            FloatBuffer values, int first, int stride, int count, byte[] target, int at) {
        float largest = 0;
        for (int i = 0; i < count; ++i) {
            largest = Math.max(largest, Math.abs(values.get(first + i * stride)));
        }
        float scale = largest / LARGEST;
        if (scale == 0) {
            // all zero, or too small for float32 to hold a 127th of it
            return 0;
        }
        for (int i = 0; i < count; ++i) {
            // a subnormal scale may be rounded down so far that the quotient passes 127
            int rounded = Math.round(values.get(first + i * stride) / scale);
            target[at + i * stride] = (byte) Math.max(-LARGEST, Math.min(LARGEST, rounded));
        }
        return scale;
    }

    private static FloatBuffer floats(PackedAdapter adapter, long offset, int count) {
        ElementType type = adapter.type();
        ByteBuffer source =
                ByteBuffer.wrap(
                        adapter.data(),
                        Math.toIntExact(offset * type.bytes()),
                        count * type.bytes());
        ByteBuffer target = ByteBuffer.allocate(count * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        ElementConverter.convert(source, type, target, ElementType.FLOAT32);
        return target.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    }

    private static long keep(PackedAdapter adapter, long offset, int count, ByteBuffer target) {
        if (offset < 0) {
            return PackedAdapter.ABSENT;
        }
        int bytes = adapter.type().bytes();
        long at = target.position() / bytes;
        target.put(adapter.data(), Math.toIntExact(offset * bytes), count * bytes);
        return at;
    }
}
