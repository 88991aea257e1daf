/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Writes safetensors files, right ones and wrong ones. */
final class TestTensors {

    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    /** Adds int64 values. */
    TestTensors longs(String name, long[] shape, long... values) {
        ByteBuffer bytes = buffer(values.length * Long.BYTES);
        bytes.asLongBuffer().put(values);
        return add(name, "I64", shape, bytes.array());
    }

    /** Adds zeros of float32, but for the first value. */
    TestTensors floats(String name, long[] shape, float first) {
        int count = Math.toIntExact(Arrays.stream(shape).reduce(1, Math::multiplyExact));
        ByteBuffer bytes = buffer(count * Float.BYTES);
        bytes.putFloat(0, first);
        return add(name, "F32", shape, bytes.array());
    }

    /** Adds a tensor of any type. */
    TestTensors add(String name, String type, long[] shape, byte[] data) {
        tensors.put(name, new Tensor(type, shape, data));
        return this;
    }

    /** Writes the file. */
    Path write(Path file) throws IOException {
        JsonObject header = new JsonObject();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
            Tensor tensor = entry.getValue();
            int start = data.size();
            data.write(tensor.data);
            header.add(
                    entry.getKey(),
                    JsonParser.parseString(
                            String.format(
                                    "{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}",
                                    tensor.type,
                                    Arrays.toString(tensor.shape),
                                    start,
                                    data.size())));
        }
        return write(file, header.toString(), data.toByteArray());
    }

    /** Writes a header as it is given, and data behind it. */
    static Path write(Path file, String header, byte[] data) throws IOException {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = buffer(Long.BYTES + text.length + data.length);
        bytes.putLong(text.length).put(text).put(data);
        Files.write(file, bytes.array());
        return file;
    }

    /** Rewrites the header of a file. */
    static void editHeader(Path file, UnaryOperator<String> edit) throws IOException {
        byte[] content = Files.readAllBytes(file);
        int length =
                Math.toIntExact(ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).getLong());
        String header = new String(content, Long.BYTES, length, StandardCharsets.UTF_8);
        String edited = edit.apply(header);
        if (edited.equals(header)) {
            throw new IllegalStateException("The edit changes nothing in " + header);
        }
        write(file, edited, Arrays.copyOfRange(content, Long.BYTES + length, content.length));
    }

    /** Cuts bytes off a file's end. */
    static void truncate(Path file, int bytes) throws IOException {
        byte[] content = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(content, content.length - bytes));
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private record Tensor(String type, long[] shape, byte[] data) {}
}
