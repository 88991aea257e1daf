/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;

/**
 * An adapter on its way to the device.
 *
 * @param packed the operator's part, as the model's adapters are held
 * @param beside what it changes beside that
 */
record ReadyAdapter(PackedAdapter packed, AdapterChanges beside) {

    /** Packs an adapter that was read. */
    static ReadyAdapter of(LoraContext context, LoraAdapter adapter) {
        return of(context, AdapterPacker.pack(context, adapter), adapter);
    }

    /** Takes an adapter that was read and packed. */
    static ReadyAdapter of(LoraContext context, PackedAdapter packed, LoraAdapter adapter) {
        return new ReadyAdapter(
                AdapterPacker.rounded(context, packed), adapter.changes().besideProducts());
    }

    /** Takes the block of an adapter that is nothing but products. */
    static ReadyAdapter of(LoraContext context, PackedAdapter packed) {
        return new ReadyAdapter(
                AdapterPacker.rounded(context, packed), AdapterChanges.builder().build());
    }

    /** Returns the size of both parts. */
    long bytes() {
        return packed.bytes() + beside.bytes();
    }
}
