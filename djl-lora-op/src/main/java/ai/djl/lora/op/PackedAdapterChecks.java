/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.tensor.ElementType;
import java.util.List;

/** What a table demands of an adapter before it takes it. */
final class PackedAdapterChecks {

    private PackedAdapterChecks() {}

    /** Returns the size of A and B of every module without gaps. */
    static long bytes(List<LoraModule> modules, int[] ranks, ElementType type) {
        if (ranks.length != modules.size()) {
            throw new IllegalArgumentException(
                    ranks.length + " ranks were given for " + modules.size() + " modules");
        }
        long elements = 0;
        for (LoraModule module : modules) {
            long width = (long) module.inFeatures() + module.outFeatures();
            elements += ranks[module.index()] * width;
        }
        return elements * type.bytes();
    }

    static void fits(PackedAdapter adapter, List<LoraModule> modules, ElementType type) {
        if (adapter.type() != type) {
            throw new LoraCompatibilityException(
                    "The adapter is packed as " + adapter.type() + "; the table holds " + type);
        }
        if (adapter.entries().length != modules.size()) {
            throw new LoraCompatibilityException(
                    "The adapter is packed for "
                            + adapter.entries().length
                            + " modules; the model has "
                            + modules.size());
        }
        long vectors = adapter.data().length / type.bytes();
        long matrices = adapter.integers() == null ? vectors : adapter.integers().data().length;
        int components = 0;
        for (LoraModule module : modules) {
            PackedAdapter.Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            components += 2 * Math.max(0, entry.rank());
            long rank = entry.rank();
            boolean product =
                    rank > 0
                            ? lies(entry.offsetA(), rank * module.inFeatures(), matrices)
                                    && lies(entry.offsetB(), rank * module.outFeatures(), matrices)
                            : rank == 0 && hasVector(entry);
            if (!product
                    || !liesOrAbsent(entry.offsetOutScale(), module.outFeatures(), vectors)
                    || !liesOrAbsent(entry.offsetBias(), module.outFeatures(), vectors)
                    || !Float.isFinite(entry.scale())) {
                throw new LoraCompatibilityException(
                        "Module "
                                + module
                                + ": "
                                + entry
                                + " does not lie within the adapter's "
                                + matrices
                                + " elements"
                                + (adapter.integers() == null ? "" : " and " + vectors));
            }
        }
        if (adapter.integers() != null && adapter.integers().scales().length != components) {
            throw new LoraCompatibilityException(
                    "The adapter has "
                            + adapter.integers().scales().length
                            + " scales of rank components; its ranks take "
                            + components);
        }
    }

    private static boolean hasVector(PackedAdapter.Entry entry) {
        return entry.offsetA() == PackedAdapter.ABSENT
                && entry.offsetB() == PackedAdapter.ABSENT
                && (entry.offsetOutScale() >= 0 || entry.offsetBias() >= 0);
    }

    private static boolean liesOrAbsent(long offset, long size, long elements) {
        return offset == PackedAdapter.ABSENT || lies(offset, size, elements);
    }

    private static boolean lies(long offset, long size, long elements) {
        return offset >= 0 && offset + size <= elements;
    }
}
