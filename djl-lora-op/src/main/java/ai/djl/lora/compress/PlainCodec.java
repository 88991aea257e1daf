/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.op.PackedAdapter;
import java.nio.ByteBuffer;
import java.util.Optional;

/** Keeps an adapter's numbers as they are. */
final class PlainCodec implements HostCodec {

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "none";
    }

    /** {@inheritDoc} */
    @Override
    public boolean isLossless() {
        return true;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        return Optional.of(AdapterLayout.of(adapter).block(adapter));
    }

    /** {@inheritDoc} */
    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        return layout.adapter(encoded);
    }
}
