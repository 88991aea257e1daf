/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import java.util.Arrays;
import java.util.List;

/**
 * How the native library takes an adapter, and the sizes of what its table on the CPU makes of one
 * ({@code Pack} in ops/table.cc): A as it is, B in tiles of 16 outputs, scales and vectors, each on
 * a cache line of its own.
 */
final class NativeLayout {

    /** The fields of a module's row; see native-op's {@code table_put}. */
    private static final int FIELDS = 5;

    private static final int CACHE_LINE = 64;
    private static final int TILE = 16;

    private NativeLayout() {}

    /** Returns where an adapter's parts lie, [modules, 5], as the native library takes it. */
    static long[] rows(PackedAdapter adapter) {
        PackedAdapter.Entry[] entries = adapter.entries();
        long[] rows = new long[entries.length * FIELDS];
        for (int m = 0; m < entries.length; ++m) {
            PackedAdapter.Entry entry = entries[m];
            int field = m * FIELDS;
            Arrays.fill(rows, field + 1, field + FIELDS, PackedAdapter.ABSENT);
            if (entry != null) {
                rows[field] = entry.rank();
                rows[field + 1] = entry.offsetA();
                rows[field + 2] = entry.offsetB();
                rows[field + 3] = entry.offsetOutScale();
                rows[field + 4] = entry.offsetBias();
            }
        }
        return rows;
    }

    /** Returns the factor of each module's product. */
    static float[] scales(PackedAdapter adapter) {
        PackedAdapter.Entry[] entries = adapter.entries();
        float[] scales = new float[entries.length];
        for (int m = 0; m < entries.length; ++m) {
            scales[m] = entries[m] == null ? 0 : entries[m].scale();
        }
        return scales;
    }

    /** Returns the size of A and B of every module, by their ranks. */
    static long bytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        if (ranks.length != modules.size()) {
            throw new IllegalArgumentException(
                    ranks.length + " ranks were given for " + modules.size() + " modules");
        }
        long bytes = 0;
        for (LoraModule module : modules) {
            long rank = ranks[module.index()];
            boolean pairs = type == ElementType.BFLOAT16;
            bytes += matrices(module, rank, type.bytes(), pairs ? 2 : 1);
        }
        return bytes;
    }

    /** Returns the size of an adapter, with everything in it. */
    static long bytes(PackedAdapter adapter, List<LoraModule> modules) {
        boolean int8 = adapter.integers() != null;
        int vectorBytes = adapter.type().bytes();
        int weightBytes = int8 ? 1 : vectorBytes;
        boolean pairs = !int8 && adapter.type() == ElementType.BFLOAT16;
        long bytes = 0;
        for (LoraModule module : modules) {
            PackedAdapter.Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            long vector = line((long) module.outFeatures() * vectorBytes);
            bytes += matrices(module, entry.rank(), weightBytes, pairs ? 2 : 1);
            bytes += int8 ? line((long) entry.rank() * Float.BYTES) : 0;
            bytes += entry.offsetOutScale() < 0 ? 0 : vector;
            bytes += entry.offsetBias() < 0 ? 0 : vector;
        }
        return bytes;
    }

    private static long matrices(LoraModule module, long rank, int weightBytes, int columns) {
        long packedB = roundUp(module.outFeatures(), TILE) * roundUp(rank, columns);
        return line(rank * module.inFeatures() * weightBytes) + line(packedB * weightBytes);
    }

    private static long line(long bytes) {
        return roundUp(bytes, CACHE_LINE);
    }

    private static long roundUp(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }
}
