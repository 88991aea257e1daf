/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.ModuleReport;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.PackedFile;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/** Writes a {@link PackedFile}. Tensors lie in the order of their names, a module's together. */
final class PackedWriter implements AutoCloseable {

    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private final FileChannel channel;
    private final MessageDigest digest;
    private long written;

    private PackedWriter(Path target) throws IOException {
        channel =
                FileChannel.open(
                        target, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }

    /**
     * Writes an adapter.
     *
     * @param files the adapter
     * @param report what it does to which module, with its revision
     * @param target an empty file
     */
    static void write(AdapterFiles files, LoadReport report, Path target) throws IOException {
        try (PackedWriter writer = new PackedWriter(target)) {
            writer.write(files, report);
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() throws IOException {
        channel.close();
    }

    private void write(AdapterFiles files, LoadReport report) throws IOException {
        SortedMap<String, TensorInfo> tensors = new TreeMap<>(files.tensors());
        byte[] header =
                GSON.toJson(header(files, report, tensors)).getBytes(StandardCharsets.UTF_8);
        ByteBuffer head =
                ByteBuffer.allocate(Long.BYTES + 2 * Integer.BYTES + header.length + Integer.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN);
        head.putLong(PackedFile.MAGIC).putInt(PackedFile.VERSION).putInt(header.length);
        head.put(header);
        CRC32C crc = new CRC32C();
        crc.update(head.array(), 0, head.position());
        put(head.putInt((int) crc.getValue()).flip());
        pad(PackedFile.align(written, PackedFile.BLOCK_ALIGNMENT));
        long start = written;
        for (String name : tensors.keySet()) {
            pad(start + PackedFile.align(written - start, PackedFile.TENSOR_ALIGNMENT));
            files.stream(
                    name,
                    chunk -> {
                        try {
                            put(chunk);
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    });
        }
        put(ByteBuffer.wrap(digest.digest()));
    }

    private static JsonObject header(
            AdapterFiles files, LoadReport report, SortedMap<String, TensorInfo> tensors) {
        JsonObject header = new JsonObject();
        header.addProperty("revision", report.revision().orElseThrow());
        header.add("config", files.config());
        JsonArray modules = new JsonArray();
        report.modules().forEach(module -> modules.add(entry(module)));
        header.add("modules", modules);
        long end = 0;
        JsonArray entries = new JsonArray();
        for (TensorInfo tensor : tensors.values()) {
            long offset = PackedFile.align(end, PackedFile.TENSOR_ALIGNMENT);
            end = offset + tensor.size();
            CRC32C crc = new CRC32C();
            files.stream(tensor.name(), crc::update);
            JsonObject entry = new JsonObject();
            entry.addProperty("name", tensor.name());
            entry.addProperty("dtype", tensor.type().name());
            JsonArray shape = new JsonArray();
            Arrays.stream(tensor.shape()).forEach(shape::add);
            entry.add("shape", shape);
            entry.addProperty("offset", offset);
            entry.addProperty("bytes", tensor.size());
            entry.addProperty("crc32c", String.format("%08x", crc.getValue()));
            entries.add(entry);
        }
        header.addProperty("block_bytes", end);
        header.add("tensors", entries);
        return header;
    }

    private static JsonObject entry(ModuleReport module) {
        JsonObject entry = new JsonObject();
        entry.addProperty("name", module.name());
        entry.addProperty("variant", module.variant());
        entry.addProperty("rank", module.rank());
        entry.addProperty("scale", module.scale());
        return entry;
    }

    private void pad(long end) throws IOException {
        put(ByteBuffer.allocate((int) (end - written)));
    }

    private void put(ByteBuffer data) throws IOException {
        digest.update(data.duplicate());
        written += data.remaining();
        while (data.hasRemaining()) {
            channel.write(data);
        }
    }
}
