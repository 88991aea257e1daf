/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Writes safetensors files, right ones and such as no writer should make. */
public final class SafetensorsWriter {

    private SafetensorsWriter() {}

    /** Writes a right file. */
    public static Path write(Path file, Map<String, HostTensor> tensors) throws IOException {
        JsonObject header = new JsonObject();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (Map.Entry<String, HostTensor> entry : tensors.entrySet()) {
            HostTensor tensor = entry.getValue();
            JsonObject description = new JsonObject();
            description.addProperty("dtype", tensor.type().safetensorsName());
            JsonArray shape = new JsonArray();
            for (long dimension : tensor.shape()) {
                shape.add(dimension);
            }
            description.add("shape", shape);
            JsonArray offsets = new JsonArray();
            offsets.add(data.size());
            data.write(tensor.data());
            offsets.add(data.size());
            description.add("data_offsets", offsets);
            header.add(entry.getKey(), description);
        }
        return write(file, header.toString(), data.toByteArray());
    }

    /** Writes a header, with its right length, and data. */
    public static Path write(Path file, String header, byte[] data) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return write(file, json.length, json, data);
    }

    /** Writes three parts that need not agree. */
    public static Path write(Path file, long length, byte[] header, byte[] data)
            throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(
                ByteBuffer.allocate(Long.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(length)
                        .array());
        bytes.write(header);
        bytes.write(data);
        return Files.write(file, bytes.toByteArray());
    }

    /** Makes a tensor of floats that a type rounds. */
    public static HostTensor tensor(ElementType type, long rows, long columns, float... values) {
        ByteBuffer wide = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        wide.asFloatBuffer().put(values);
        ByteBuffer data = ByteBuffer.allocate(values.length * type.bytes());
        ElementConverter.convert(wide, ElementType.FLOAT32, data, type);
        return new HostTensor(type, new long[] {rows, columns}, data.array());
    }
}
