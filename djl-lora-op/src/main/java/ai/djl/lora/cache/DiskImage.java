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
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * Where in an adapter's files the parts of its packed block lie, and their CRC32C: so that an
 * adapter that was checked whole when it was registered is read again without the checks that its
 * bytes have passed.
 *
 * <p>Only of adapters whose block is made of their tensors as they are; it is not taken on trust
 * but tried once.
 */
final class DiskImage {

    private final PackedAdapter.Entry[] entries;
    private final ElementType type;
    private final int size;
    private final List<Part> parts;

    private DiskImage(PackedAdapter.Entry[] entries, ElementType type, int size, List<Part> parts) {
        this.entries = entries;
        this.type = type;
        this.size = size;
        this.parts = parts;
    }

    /**
     * A tensor of the file and its place in the block.
     *
     * @param name its normalised name
     * @param stored its type in the file
     * @param bytes its size in the file
     * @param crc the CRC32C of its bytes in the file
     * @param offset its first element in the block
     */
    private record Part(String name, ElementType stored, int bytes, long crc, long offset) {}

    /**
     * Finds out where the parts of an adapter lie.
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
        List<Part> parts = new ArrayList<>();
        for (LoraModule module : modules) {
            LinearChange change = adapter.changes().linears().get(module.name());
            PackedAdapter.Entry entry = packed.entries()[module.index()];
            if (change != null && entry != null) {
                LoraWeights product = change.product();
                parts.add(part(module, ".lora_A.weight", product.a(), entry.offsetA()));
                parts.add(part(module, ".lora_B.weight", product.b(), entry.offsetB()));
            }
        }
        DiskImage image =
                new DiskImage(packed.entries(), packed.type(), packed.data().length, parts);
        // other variants make their products of other tensors
        return image.isIn(adapter.source(), packed) ? Optional.of(image) : Optional.empty();
    }

    private static Part part(LoraModule module, String suffix, HostTensor tensor, long offset) {
        CRC32C crc = new CRC32C();
        crc.update(tensor.data());
        return new Part(
                module.name() + suffix,
                tensor.type(),
                tensor.data().length,
                crc.getValue(),
                offset);
    }

    private boolean isIn(Path source, PackedAdapter packed) {
        try {
            return Arrays.equals(read(source).data(), packed.data());
        } catch (LoraCompatibilityException e) {
            return false;
        }
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
        byte[] data = new byte[size];
        try (AdapterFiles files = AdapterFiles.open(source, FormatLimits.DEFAULTS)) {
            for (Part part : parts) {
                read(files, part, data);
            }
        }
        return new PackedAdapter(type, data, entries);
    }

    private void read(AdapterFiles files, Part part, byte[] data) {
        TensorInfo tensor = files.tensors().get(part.name);
        if (tensor == null
                || tensor.size() != part.bytes
                || !tensor.type().elementType().equals(Optional.of(part.stored))) {
            throw changed(files, part);
        }
        CRC32C crc = new CRC32C();
        int elements = part.bytes / part.stored.bytes();
        ByteBuffer target =
                ByteBuffer.wrap(
                        data, Math.toIntExact(part.offset * type.bytes()), elements * type.bytes());
        files.stream(
                part.name,
                chunk -> {
                    crc.update(chunk.duplicate());
                    ElementConverter.convert(chunk, part.stored, target, type);
                });
        if (crc.getValue() != part.crc) {
            throw changed(files, part);
        }
    }

    private static LoraCompatibilityException changed(AdapterFiles files, Part part) {
        return new LoraCompatibilityException(
                Message.oneLine(files.source().toString())
                        + ": tensor "
                        + Message.quote(part.name)
                        + " is not what it was when the adapter was registered");
    }
}
