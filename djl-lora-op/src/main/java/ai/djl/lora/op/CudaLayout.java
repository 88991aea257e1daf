/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.List;

/**
 * The sizes of what the native library's table on a device makes of an adapter ({@code
 * DeviceModuleBytes} in cuda/device_layout.cc): A's and B's rows padded to the widths that kernels
 * load, and each part on a line of its own. Elements have two bytes.
 */
final class CudaLayout {

    private static final int ELEMENT = 2;
    private static final int LINE = 128;
    private static final int INPUTS = 8;
    private static final int RANKS = 4;

    private CudaLayout() {}

    /** Returns the size of A and B of every module, by their ranks. */
    static long bytes(List<LoraModule> modules, int... ranks) {
        if (ranks.length != modules.size()) {
            throw new IllegalArgumentException(
                    ranks.length + " ranks were given for " + modules.size() + " modules");
        }
        return modules.stream().mapToLong(module -> matrices(module, ranks[module.index()])).sum();
    }

    /** Returns the size of an adapter, with everything in it. */
    static long bytes(PackedAdapter adapter, List<LoraModule> modules) {
        long bytes = 0;
        for (LoraModule module : modules) {
            PackedAdapter.Entry entry = adapter.entries()[module.index()];
            if (entry != null) {
                long vector = roundUp((long) module.outFeatures() * ELEMENT, LINE);
                bytes += matrices(module, entry.rank());
                bytes += entry.offsetOutScale() < 0 ? 0 : vector;
                bytes += entry.offsetBias() < 0 ? 0 : vector;
            }
        }
        return bytes;
    }

    private static long matrices(LoraModule module, long rank) {
        long a = rank * roundUp(module.inFeatures(), INPUTS) * ELEMENT;
        long b = module.outFeatures() * roundUp(rank, RANKS) * ELEMENT;
        return roundUp(a, LINE) + roundUp(b, LINE);
    }

    private static long roundUp(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }
}
