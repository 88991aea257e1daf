/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.PackedAdapter;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * Turns a packed adapter into fewer bytes and back. A codec does not check what it is given back;
 * {@link HostCompressor} and {@link Encoding} do.
 */
public interface HostCodec {

    /**
     * Returns the name by which users call this codec.
     *
     * @return the name, such as {@code int8}
     */
    String label();

    /**
     * Returns whether an adapter comes back with every bit as it was.
     *
     * @return whether nothing is lost
     */
    boolean isLossless();

    /**
     * Encodes an adapter.
     *
     * @param adapter the adapter
     * @return its bytes in one block; empty where this codec has nothing to take away, such as
     *     float16 from an adapter that has 16 bits already
     * @throws LoraOffloadException if the adapter cannot be held like this
     */
    Optional<byte[]> encode(PackedAdapter adapter);

    /**
     * Decodes an adapter.
     *
     * @param layout the adapter's layout as it was encoded
     * @param encoded what {@link #encode} returned, from the position to the limit; the position is
     *     moved
     * @return the adapter, with that layout
     * @throws RuntimeException if the bytes are not what was returned
     */
    PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded);
}
