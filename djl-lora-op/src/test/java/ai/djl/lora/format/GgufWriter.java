/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Writes GGUF files, right ones and such as no writer should make. */
final class GgufWriter {

    private final ByteArrayOutputStream metadata = new ByteArrayOutputStream();
    private final ByteArrayOutputStream infos = new ByteArrayOutputStream();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    private final List<byte[]> tail = new ArrayList<>();
    private long entries;
    private long tensors;
    private int magic = GgufFile.MAGIC;
    private int version = 3;

    /** A writer of what each adapter has. */
    static GgufWriter adapter(String architecture) {
        return new GgufWriter()
                .text("general.architecture", architecture)
                .text("general.type", "adapter")
                .text("adapter.type", "lora");
    }

    GgufWriter magic(int value) {
        magic = value;
        return this;
    }

    GgufWriter version(int value) {
        version = value;
        return this;
    }

    GgufWriter entries(long value) {
        entries = value;
        return this;
    }

    GgufWriter tensors(long value) {
        tensors = value;
        return this;
    }

    GgufWriter text(String key, String value) {
        string(metadata, key);
        int32(metadata, 8);
        string(metadata, value);
        entries++;
        return this;
    }

    GgufWriter number(String key, float value) {
        return raw(key, 6, ints(Float.floatToIntBits(value)));
    }

    GgufWriter whole(String key, int value) {
        return raw(key, 4, ints(value));
    }

    /** Writes an entry of any type. */
    GgufWriter raw(String key, int type, byte[] value) {
        string(metadata, key);
        int32(metadata, type);
        metadata.writeBytes(value);
        entries++;
        return this;
    }

    /** Writes a tensor; its dimensions are given with the fastest first, as in the file. */
    GgufWriter tensor(String name, int type, byte[] bytes, long... dimensions) {
        return tensorAt(data.size(), name, type, bytes, dimensions);
    }

    GgufWriter tensorAt(long offset, String name, int type, byte[] bytes, long... dimensions) {
        string(infos, name);
        int32(infos, dimensions.length);
        for (long dimension : dimensions) {
            int64(infos, dimension);
        }
        int32(infos, type);
        int64(infos, offset);
        data.writeBytes(bytes);
        data.writeBytes(new byte[(32 - data.size() % 32) % 32]);
        tensors++;
        return this;
    }

    GgufWriter tail(byte[] bytes) {
        tail.add(bytes);
        return this;
    }

    byte[] toByteArray() {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        int32(file, magic);
        int32(file, version);
        int64(file, tensors);
        int64(file, entries);
        file.writeBytes(metadata.toByteArray());
        file.writeBytes(infos.toByteArray());
        file.writeBytes(new byte[(32 - file.size() % 32) % 32]);
        file.writeBytes(data.toByteArray());
        tail.forEach(file::writeBytes);
        return file.toByteArray();
    }

    static byte[] floats(float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putFloat(value);
        }
        return bytes.array();
    }

    static byte[] ints(int... values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int value : values) {
            bytes.putInt(value);
        }
        return bytes.array();
    }

    private static void string(ByteArrayOutputStream out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int64(out, bytes.length);
        out.writeBytes(bytes);
    }

    private static void int32(ByteArrayOutputStream out, int value) {
        out.writeBytes(ints(value));
    }

    private static void int64(ByteArrayOutputStream out, long value) {
        out.writeBytes(ints((int) value, (int) (value >> 32)));
    }
}
