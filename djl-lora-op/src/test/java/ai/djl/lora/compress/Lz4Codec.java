/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.op.PackedAdapter;
import java.nio.ByteBuffer;
import java.util.Optional;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;

/** What {@link ZstdCodec} does, in LZ4: to see what either is worth. */
final class Lz4Codec implements HostCodec {

    private static final LZ4Factory FACTORY = LZ4Factory.fastestInstance();

    private final String label;
    private final LZ4Compressor compressor;

    Lz4Codec(boolean high) {
        label = high ? "lz4 high" : "lz4";
        compressor = high ? FACTORY.highCompressor() : FACTORY.fastCompressor();
    }

    @Override
    public String label() {
        return label;
    }

    @Override
    public boolean isLossless() {
        return true;
    }

    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        AdapterLayout layout = AdapterLayout.of(adapter);
        byte[] block = layout.block(adapter);
        return Optional.of(
                compressor.compress(
                        BytePlanes.split(block, layout.dataBytes(), layout.type().bytes())));
    }

    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        byte[] source = new byte[encoded.remaining()];
        encoded.get(source);
        byte[] planes = new byte[layout.bytes()];
        FACTORY.safeDecompressor().decompress(source, planes);
        byte[] block = BytePlanes.join(planes, layout.dataBytes(), layout.type().bytes());
        return layout.adapter(ByteBuffer.wrap(block));
    }
}
