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
