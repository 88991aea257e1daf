/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.SequenceStart;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * What a store keeps of an adapter in the registry, so that it need not be read before it is asked
 * for, not even after a restart.
 *
 * <p>Written as version, kind of the model's type, CRC32C of the model's layers, whether the
 * adapter can be stacked, its variants, what it asks of a sequence, and the image where there is
 * one.
 *
 * @param stackable whether it can be weighted and added to others
 * @param variants the methods by which it was trained
 * @param start what it asks of the beginning of a sequence
 * @param image how to read it again, empty where that takes a whole load
 */
record AdapterNotes(
        boolean stackable, String variants, SequenceStart start, Optional<DiskImage> image) {

    private static final byte VERSION = 1;

    /** Takes notes of an adapter that was loaded. */
    static AdapterNotes of(LoraAdapter adapter, PackedAdapter packed, List<LoraModule> modules) {
        return new AdapterNotes(
                adapter.changes().isStackable(),
                adapter.changes().variants(),
                start(adapter.changes()),
                DiskImage.of(adapter, packed, modules));
    }

    private static SequenceStart start(AdapterChanges changes) {
        int virtualTokens = tokens(changes.prompt()) + tokens(changes.prefix());
        return new SequenceStart(virtualTokens, changes.invocationTokens());
    }

    private static int tokens(Optional<HostTensor> virtual) {
        return virtual.map(tensor -> Math.toIntExact(tensor.shape()[0])).orElse(0);
    }

    byte[] encode(List<LoraModule> modules, ElementType type) {
        byte[] text = variants.getBytes(StandardCharsets.UTF_8);
        int size = image.map(DiskImage::encodedBytes).orElse(0);
        int[] invocation = start.invocationTokens();
        int words = 4 + invocation.length;
        ByteBuffer to = ByteBuffer.allocate(4 + words * Integer.BYTES + text.length + size);
        to.put(VERSION).put((byte) type.ordinal()).putInt(fingerprint(modules));
        to.put((byte) (stackable ? 1 : 0)).putInt(text.length).put(text);
        to.putInt(start.virtualTokens()).putInt(invocation.length);
        for (int token : invocation) {
            to.putInt(token);
        }
        to.put((byte) (image.isPresent() ? 1 : 0));
        image.ifPresent(known -> known.encode(to));
        return to.array();
    }

    /** Reads notes, or returns nothing where they are of another model or version. */
    static Optional<AdapterNotes> decode(byte[] from, List<LoraModule> modules, ElementType type) {
        try {
            ByteBuffer bytes = ByteBuffer.wrap(from);
            if (bytes.get() != VERSION
                    || bytes.get() != type.ordinal()
                    || bytes.getInt() != fingerprint(modules)) {
                return Optional.empty();
            }
            boolean stackable = bytes.get() != 0;
            byte[] text = new byte[bytes.getInt()];
            bytes.get(text);
            int virtualTokens = bytes.getInt();
            int[] invocation = new int[bytes.getInt()];
            for (int i = 0; i < invocation.length; ++i) {
                invocation[i] = bytes.getInt();
            }
            Optional<DiskImage> image =
                    bytes.get() == 0
                            ? Optional.empty()
                            : Optional.of(DiskImage.decode(bytes, modules, type));
            return Optional.of(
                    new AdapterNotes(
                            stackable,
                            new String(text, StandardCharsets.UTF_8),
                            new SequenceStart(virtualTokens, invocation),
                            image));
        } catch (BufferUnderflowException e) {
            return Optional.empty();
        }
    }

    private static int fingerprint(List<LoraModule> modules) {
        CRC32C crc = new CRC32C();
        for (LoraModule module : modules) {
            crc.update(module.toString().getBytes(StandardCharsets.UTF_8));
        }
        return (int) crc.getValue();
    }
}
