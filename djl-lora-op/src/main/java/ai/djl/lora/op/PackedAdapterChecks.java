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
        long elements = adapter.data().length / type.bytes();
        for (LoraModule module : modules) {
            PackedAdapter.Entry entry = adapter.entries()[module.index()];
            if (entry == null) {
                continue;
            }
            long sizeA = (long) entry.rank() * module.inFeatures();
            long sizeB = (long) entry.rank() * module.outFeatures();
            if (entry.rank() < 1
                    || entry.offsetA() < 0
                    || entry.offsetA() + sizeA > elements
                    || entry.offsetB() < 0
                    || entry.offsetB() + sizeB > elements
                    || !Float.isFinite(entry.scale())) {
                throw new LoraCompatibilityException(
                        "Module "
                                + module
                                + ": "
                                + entry
                                + " does not lie within the adapter's "
                                + elements
                                + " elements");
            }
        }
    }
}
