/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.PackedAdapter.Entry;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Adapters of random weights that have everything that a packed adapter may have. */
final class TestAdapters {

    private static final int[][] SHAPES = {{24, 40}, {33, 7}, {64, 64}, {5, 129}, {16, 16}};

    private TestAdapters() {}

    static List<LoraModule> modules() {
        List<LoraModule> modules = new ArrayList<>();
        for (int[] shape : SHAPES) {
            modules.add(new LoraModule(modules.size(), "m" + modules.size(), shape[0], shape[1]));
        }
        return modules;
    }

    /**
     * Returns an adapter: a module with products alone, one with a bias too, one that is left as it
     * is, one with a scale of outputs and no product, one with everything. Parts lie in any order.
     */
    static PackedAdapter random(ElementType type, long seed) {
        Random random = new Random(seed);
        List<LoraModule> modules = modules();
        boolean[] product = {true, true, false, false, true};
        boolean[] outScale = {false, false, false, true, true};
        boolean[] bias = {false, true, false, false, true};
        long[][] offsets = new long[modules.size()][4];
        int[] ranks = new int[modules.size()];
        List<int[]> parts = new ArrayList<>();
        for (LoraModule module : modules) {
            int m = module.index();
            java.util.Arrays.fill(offsets[m], PackedAdapter.ABSENT);
            if (product[m]) {
                ranks[m] = 1 + random.nextInt(8);
                parts.add(new int[] {m, 0, ranks[m] * module.inFeatures()});
                parts.add(new int[] {m, 1, ranks[m] * module.outFeatures()});
            }
            if (outScale[m]) {
                parts.add(new int[] {m, 2, module.outFeatures()});
            }
            if (bias[m]) {
                parts.add(new int[] {m, 3, module.outFeatures()});
            }
        }
        Collections.shuffle(parts, random);
        int elements = 0;
        for (int[] part : parts) {
            offsets[part[0]][part[1]] = elements;
            elements += part[2];
        }
        float[] values = new float[elements];
        for (int i = 0; i < elements; ++i) {
            values[i] = (float) (random.nextGaussian() * 0.05);
        }
        Entry[] entries = new Entry[modules.size()];
        for (int m = 0; m < entries.length; ++m) {
            if (product[m] || outScale[m] || bias[m]) {
                long[] at = offsets[m];
                entries[m] = new Entry(ranks[m], 0.5f, at[0], at[1], at[2], at[3]);
            }
        }
        return new PackedAdapter(type, bytes(values, type), entries);
    }

    static byte[] bytes(float[] values, ElementType type) {
        ByteBuffer wide =
                ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        wide.asFloatBuffer().put(values);
        byte[] data = new byte[values.length * type.bytes()];
        ElementConverter.convert(wide, ElementType.FLOAT32, ByteBuffer.wrap(data), type);
        return data;
    }

    static float[] floats(PackedAdapter adapter) {
        byte[] data = adapter.data();
        ElementType type = adapter.type();
        return new HostTensor(type, new long[] {data.length / type.bytes()}, data).toFloats();
    }
}
