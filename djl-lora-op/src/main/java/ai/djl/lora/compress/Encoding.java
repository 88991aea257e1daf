/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.PackedAdapter;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/** How an adapter was encoded: all that is needed to get it back, but the bytes. Immutable. */
public final class Encoding {

    private final HostCodec codec;
    private final AdapterLayout layout;
    private final long checksum;
    private final CompressionReport report;

    Encoding(
            HostCodec codec,
            AdapterLayout layout,
            PackedAdapter decoded,
            CompressionReport report) {
        this.codec = codec;
        this.layout = layout;
        this.checksum = checksum(decoded);
        this.report = report;
    }

    /**
     * Returns what was saved and lost.
     *
     * @return the report
     */
    public CompressionReport report() {
        return report;
    }

    /**
     * Decodes the adapter, and checks by CRC32C that it is what it was when it was encoded.
     *
     * @param data the encoded bytes and nothing else, from the position to the limit; left as it is
     * @return the adapter, laid out and of the type as before it was encoded
     * @throws LoraOffloadException if the bytes are not the ones that were encoded
     */
    public PackedAdapter decode(ByteBuffer data) {
        if (data.remaining() != report.encodedBytes()) {
            throw new LoraOffloadException(
                    "An adapter was encoded as "
                            + codec.label()
                            + " in "
                            + report.encodedBytes()
                            + " bytes, found "
                            + data.remaining());
        }
        PackedAdapter adapter;
        try {
            adapter = codec.decode(layout, data.duplicate());
        } catch (RuntimeException e) {
            throw new LoraOffloadException(
                    "An adapter cannot be decoded from " + codec.label() + ": " + e.getMessage(),
                    e);
        }
        long found = checksum(adapter);
        if (found != checksum) {
            throw new LoraOffloadException(
                    String.format(
                            "An adapter that was encoded as %s came back changed: its CRC32C is"
                                    + " %08x, expected %08x",
                            codec.label(), found, checksum));
        }
        return adapter;
    }

    private long checksum(PackedAdapter adapter) {
        CRC32C crc = new CRC32C();
        crc.update(layout.block(adapter));
        return crc.getValue();
    }
}
