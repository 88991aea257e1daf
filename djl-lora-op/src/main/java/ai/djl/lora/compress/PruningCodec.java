/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.PackedAdapter.Entry;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Drops the smallest entries of every A and B: in each matrix the given share of its entries, those
 * of the least magnitude, become zero. The share is one of each matrix and not of the adapter,
 * since the magnitudes of A and of B have nothing to do with each other.
 *
 * <p>Encoded is for each matrix in turn one bit for each entry, set where it is kept, and the kept
 * entries as they were; vectors are as they were.
 */
final class PruningCodec implements HostCodec {

    private final List<LoraModule> modules;
    private final double share;

    /**
     * Constructs a new {@code PruningCodec} instance.
     *
     * @param modules the modules that adapters are packed for
     * @param share the share of entries to drop, above 0 and below 1
     */
    PruningCodec(List<LoraModule> modules, double share) {
        if (!(share > 0 && share < 1)) {
            throw new IllegalArgumentException(
                    "The share of entries to drop must be above 0 and below 1, found " + share);
        }
        this.modules = List.copyOf(modules);
        this.share = share;
    }

    /** {@inheritDoc} */
    @Override
    public String label() {
        return "prune";
    }

    /** {@inheritDoc} */
    @Override
    public boolean isLossless() {
        return false;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<byte[]> encode(PackedAdapter adapter) {
        if (adapter.integers() != null) {
            return Optional.empty();
        }
        int width = adapter.type().bytes();
        ByteBuffer data = ByteBuffer.wrap(adapter.data()).order(ByteOrder.LITTLE_ENDIAN);
        List<Part> parts = parts(adapter.entries());
        ByteBuffer encoded =
                ByteBuffer.allocate(Math.toIntExact(encodedBytes(parts, width)))
                        .order(ByteOrder.LITTLE_ENDIAN);
        for (Part part : parts) {
            if (part.matrix) {
                prune(data, part, width, encoded);
            } else {
                encoded.put(data.slice(part.offset * width, part.count * width));
            }
        }
        return Optional.of(encoded.array());
    }

    private void prune(ByteBuffer data, Part part, int width, ByteBuffer encoded) {
        // without its sign the pattern of a floating-point number orders like its magnitude
        int[] magnitudes = new int[part.count];
        for (int i = 0; i < part.count; ++i) {
            int at = (part.offset + i) * width;
            magnitudes[i] =
                    width == Float.BYTES
                            ? data.getInt(at) & Integer.MAX_VALUE
                            : data.getShort(at) & Short.MAX_VALUE;
        }
        int dropped = dropped(part.count);
        int[] sorted = magnitudes.clone();
        Arrays.sort(sorted);
        int threshold = sorted[dropped];
        // of entries as large as the threshold the first ones go, as many as it takes
        int atThreshold = 0;
        while (atThreshold < dropped && sorted[dropped - atThreshold - 1] == threshold) {
            ++atThreshold;
        }
        byte[] mask = new byte[maskBytes(part.count)];
        int maskAt = encoded.position();
        encoded.position(maskAt + mask.length);
        for (int i = 0; i < part.count; ++i) {
            if (magnitudes[i] < threshold) {
                continue;
            }
            if (magnitudes[i] == threshold && atThreshold > 0) {
                --atThreshold;
                continue;
            }
            mask[i / Byte.SIZE] |= (byte) (1 << i % Byte.SIZE);
            copy(data, (part.offset + i) * width, encoded, encoded.position(), width);
            encoded.position(encoded.position() + width);
        }
        encoded.put(maskAt, mask);
    }

    /** {@inheritDoc} */
    @Override
    public PackedAdapter decode(AdapterLayout layout, ByteBuffer encoded) {
        int width = layout.type().bytes();
        encoded.order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer data = ByteBuffer.allocate(layout.dataBytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (Part part : parts(layout.entries())) {
            if (part.matrix) {
                byte[] mask = new byte[maskBytes(part.count)];
                encoded.get(mask);
                int from = encoded.position();
                for (int i = 0; i < part.count; ++i) {
                    if ((mask[i / Byte.SIZE] >> i % Byte.SIZE & 1) != 0) {
                        copy(encoded, from, data, (part.offset + i) * width, width);
                        from += width;
                    }
                }
                encoded.position(from);
            } else {
                encoded.get(data.array(), part.offset * width, part.count * width);
            }
        }
        return new PackedAdapter(layout.type(), data.array(), layout.entries());
    }

    private static void copy(ByteBuffer from, int at, ByteBuffer to, int toAt, int width) {
        if (width == Float.BYTES) {
            to.putInt(toAt, from.getInt(at));
        } else {
            to.putShort(toAt, from.getShort(at));
        }
    }

    private long encodedBytes(List<Part> parts, int width) {
        long bytes = 0;
        for (Part part : parts) {
            long kept = part.matrix ? part.count - dropped(part.count) : part.count;
            bytes += kept * width + (part.matrix ? maskBytes(part.count) : 0);
        }
        return bytes;
    }

    private int dropped(int count) {
        return (int) (share * count);
    }

    private static int maskBytes(int count) {
        return (count + Byte.SIZE - 1) / Byte.SIZE;
    }

    private List<Part> parts(Entry[] entries) {
        List<Part> parts = new ArrayList<>();
        for (LoraModule module : modules) {
            Entry entry = entries[module.index()];
            if (entry != null) {
                int out = module.outFeatures();
                add(parts, entry.offsetA(), entry.rank() * module.inFeatures(), true);
                add(parts, entry.offsetB(), entry.rank() * out, true);
                add(parts, entry.offsetOutScale(), out, false);
                add(parts, entry.offsetBias(), out, false);
            }
        }
        return parts;
    }

    private static void add(List<Part> parts, long offset, int count, boolean matrix) {
        if (offset != PackedAdapter.ABSENT) {
            parts.add(new Part(Math.toIntExact(offset), count, matrix));
        }
    }

    /** A matrix or a vector of an adapter, in elements. */
    private record Part(int offset, int count, boolean matrix) {}
}
