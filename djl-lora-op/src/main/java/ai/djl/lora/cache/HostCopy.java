/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;

/**
 * An adapter in the host's memory, ready for the device.
 *
 * @param packed the operator's part
 * @param extras what it changes beside that
 * @param extraBytes the size of the extras
 */
record HostCopy(PackedAdapter packed, AdapterChanges extras, long extraBytes) {

    /** Makes the copy of an adapter that was read. */
    static HostCopy of(LoraContext context, LoraAdapter adapter) {
        return of(context, AdapterPacker.pack(context, adapter), adapter);
    }

    /** Makes the copy of an adapter that was read and packed. */
    static HostCopy of(LoraContext context, PackedAdapter packed, LoraAdapter adapter) {
        AdapterChanges changes = adapter.changes();
        boolean plain = changes.isStackable();
        return new HostCopy(
                AdapterPacker.rounded(context, packed),
                plain ? AdapterChanges.builder().build() : changes,
                0);
    }

    /** Makes the copy of an adapter that is read again, and is nothing but products. */
    static HostCopy of(LoraContext context, PackedAdapter packed) {
        return new HostCopy(
                AdapterPacker.rounded(context, packed), AdapterChanges.builder().build(), 0);
    }

    /** Returns the size of the copy. */
    long bytes() {
        return packed.bytes() + extraBytes;
    }
}
