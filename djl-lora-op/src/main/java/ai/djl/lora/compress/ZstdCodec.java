/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.PackedAdapter;
import com.github.luben.zstd.Zstd;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * Keeps an adapter's numbers bit for bit, in Zstandard.
 *
 * <p>The elements' bytes are put in order of their significance first: all lowest bytes, then all
 * of the next, and so on. Weights have random mantissas and do not repeat, but their signs and
 * exponents are few; so nearly all that can be saved is saved by an entropy code of the upper
 * bytes, and that must not be mixed with the others. For the same reason a higher level of
 * compression is of no use, nor is LZ4, which has no entropy code.
 */
final class ZstdCodec implements HostCodec {

    private static final int LEVEL = 1;

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "zstd";
    }

    /** {@inheritDoc} */
    @Override
    public boolean isLossless() {
        return true;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        AdapterLayout layout = AdapterLayout.of(adapter);
        byte[] planes = BytePlanes.split(layout.block(adapter), layout.dataBytes(), width(layout));
        byte[] encoded = new byte[Math.toIntExact(Zstd.compressBound(planes.length))];
        long size = check(Zstd.compress(encoded, planes, LEVEL));
        return Optional.of(Arrays.copyOf(encoded, Math.toIntExact(size)));
    }

    /** {@inheritDoc} */
    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        byte[] source = new byte[encoded.remaining()];
        encoded.get(source);
        byte[] planes = new byte[layout.bytes()];
        long size = check(Zstd.decompress(planes, source));
        if (size != planes.length) {
            throw new LoraOffloadException(
                    "Zstandard gave back " + size + " bytes of " + planes.length);
        }
        byte[] block = BytePlanes.join(planes, layout.dataBytes(), width(layout));
        return layout.adapter(ByteBuffer.wrap(block));
    }

    private static int width(AdapterLayout layout) {
        return layout.type().bytes();
    }

    private static long check(long result) {
        if (Zstd.isError(result)) {
            throw new LoraOffloadException("Zstandard failed: " + Zstd.getErrorName(result));
        }
        return result;
    }
}
