/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * What is kept of an adapter that was checked whole, so that it can be read again without the
 * checks that its bytes have passed: of each layer the rank, the scale, and the CRC32C of A and B
 * in the file.
 *
 * <p>Only of adapters whose block is made of their tensors as they are; it is not taken on trust
 * but tried once.
 */
final class DiskImage {

    private static final String A = ".lora_A.weight";
    private static final String B = ".lora_B.weight";

    private final List<LoraModule> modules;
    private final ElementType type;
    private final Layer[] layers;

    private DiskImage(List<LoraModule> modules, ElementType type, Layer[] layers) {
        this.modules = modules;
        this.type = type;
        this.layers = layers;
    }

    /** What is kept of a layer. */
    private record Layer(int rank, float scale, Part a, Part b) {

        static final int BYTES = Integer.BYTES + Float.BYTES + 2 * Part.BYTES;
    }

    /**
     * What is kept of a tensor of the file.
     *
     * @param stored its type there
     * @param crc the CRC32C of its bytes
     */
    private record Part(ElementType stored, int crc) {

        static final int BYTES = 1 + Integer.BYTES;

        static Part of(HostTensor tensor) {
            CRC32C crc = new CRC32C();
            crc.update(tensor.data());
            return new Part(tensor.type(), (int) crc.getValue());
        }

        static Part decode(ByteBuffer from) {
            return new Part(ElementType.values()[from.get()], from.getInt());
        }

        void encode(ByteBuffer to) {
            to.put((byte) stored.ordinal()).putInt(crc);
        }
    }

    /**
     * Finds out what to keep of an adapter.
     *
     * @param adapter the adapter, just loaded
     * @param packed its block, in a floating-point type
     * @param modules the model's layers
     * @return the image, or empty where the block is not made of the file's tensors as they are
     */
    static Optional<DiskImage> of(
            LoraAdapter adapter, PackedAdapter packed, List<LoraModule> modules) {
        if (!adapter.changes().isStackable()) {
            return Optional.empty();
        }
        Layer[] layers = new Layer[modules.size()];
        for (LoraModule module : modules) {
            LinearChange change = adapter.changes().linears().get(module.name());
            if (change != null) {
                LoraWeights product = change.product();
                layers[module.index()] =
                        new Layer(
                                product.rank(),
                                product.scale(),
                                Part.of(product.a()),
                                Part.of(product.b()));
            }
        }
        DiskImage image = new DiskImage(modules, packed.type(), layers);
        // other variants make their products of other tensors
        return image.isIn(adapter.source(), packed) ? Optional.of(image) : Optional.empty();
    }

    private boolean isIn(Path source, PackedAdapter packed) {
        try {
            PackedAdapter read = read(source);
            return Arrays.equals(read.data(), packed.data())
                    && Arrays.equals(read.entries(), packed.entries());
        } catch (LoraCompatibilityException e) {
            return false;
        }
    }

    /** Returns what {@link #encode} writes. */
    int encodedBytes() {
        int bytes = 0;
        for (Layer layer : layers) {
            bytes += 1 + (layer == null ? 0 : Layer.BYTES);
        }
        return bytes;
    }

    /** Writes the image. */
    void encode(ByteBuffer to) {
        for (Layer layer : layers) {
            to.put((byte) (layer == null ? 0 : 1));
            if (layer != null) {
                to.putInt(layer.rank).putFloat(layer.scale);
                layer.a.encode(to);
                layer.b.encode(to);
            }
        }
    }

    /**
     * Reads an image that was written for the same model.
     *
     * @throws BufferUnderflowException if there are more layers now
     */
    static DiskImage decode(ByteBuffer from, List<LoraModule> modules, ElementType type) {
        Layer[] layers = new Layer[modules.size()];
        for (int i = 0; i < layers.length; ++i) {
            if (from.get() != 0) {
                int rank = from.getInt();
                float scale = from.getFloat();
                layers[i] = new Layer(rank, scale, Part.decode(from), Part.decode(from));
            }
        }
        return new DiskImage(modules, type, layers);
    }

    /**
     * Reads the block.
     *
     * @param source the adapter's folder or file
     * @return the packed adapter, of the bytes that were checked
     * @throws LoraCompatibilityException if a tensor is missing or has other bytes than before
     * @throws ai.djl.lora.LoraException if the files cannot be read
     */
    PackedAdapter read(Path source) {
        byte[] data = new byte[Math.toIntExact(elements() * type.bytes())];
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[layers.length];
        long offset = 0;
        try (AdapterFiles files = AdapterFiles.open(source, FormatLimits.DEFAULTS)) {
            for (LoraModule module : modules) {
                Layer layer = layers[module.index()];
                if (layer != null) {
                    long a = offset;
                    long b = a + (long) layer.rank * module.inFeatures();
                    offset = b + (long) layer.rank * module.outFeatures();
                    read(files, module.name() + A, layer.a, data, a, b - a);
                    read(files, module.name() + B, layer.b, data, b, offset - b);
                    entries[module.index()] =
                            new PackedAdapter.Entry(layer.rank, layer.scale, a, b);
                }
            }
        }
        return new PackedAdapter(type, data, entries);
    }

    private long elements() {
        long elements = 0;
        for (LoraModule module : modules) {
            Layer layer = layers[module.index()];
            if (layer != null) {
                elements += (long) layer.rank * (module.inFeatures() + module.outFeatures());
            }
        }
        return elements;
    }

    private void read(
            AdapterFiles files, String name, Part part, byte[] data, long offset, long elements) {
        TensorInfo tensor = files.tensors().get(name);
        if (tensor == null
                || tensor.size() != elements * part.stored.bytes()
                || !tensor.type().elementType().equals(Optional.of(part.stored))) {
            throw changed(files, name);
        }
        CRC32C crc = new CRC32C();
        int begin = Math.toIntExact(offset * type.bytes());
        int size = Math.toIntExact(elements * type.bytes());
        ByteBuffer target = ByteBuffer.wrap(data, begin, size);
        files.stream(
                name,
                chunk -> {
                    crc.update(chunk.duplicate());
                    ElementConverter.convert(chunk, part.stored, target, type);
                });
        if ((int) crc.getValue() != part.crc) {
            throw changed(files, name);
        }
    }

    private static LoraCompatibilityException changed(AdapterFiles files, String name) {
        return new LoraCompatibilityException(
                Message.oneLine(files.source().toString())
                        + ": tensor "
                        + Message.quote(name)
                        + " is not what it was when the adapter was registered");
    }
}
