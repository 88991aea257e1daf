/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.TensorInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;

/**
 * The golden model of two layers and its adapters, made deeper: its layers in turn, each with a
 * factor of its own, so that no two are the same.
 */
final class DeepModel {

    static final int LAYERS = 6;

    private static final String LAYER = "model.layers.";

    private DeepModel() {}

    /** Writes the model. */
    static Path write(Path folder) throws IOException {
        Path source = VariantGolden.folder("llama").resolve("base");
        Files.createDirectories(folder);
        String config = Files.readString(source.resolve("config.json"));
        Files.writeString(
                folder.resolve("config.json"),
                config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": " + LAYERS));
        deepen(source.resolve("model.safetensors"), folder.resolve("model.safetensors"));
        return folder;
    }

    /** Writes an adapter. */
    static Path writeAdapter(Path folder, String name) throws IOException {
        Path source = VariantGolden.adapter("llama", name);
        Files.createDirectories(folder);
        String config = Files.readString(source.resolve("adapter_config.json"));
        // a list that names one module of the first layer names the same of the deeper ones
        Files.writeString(
                folder.resolve("adapter_config.json"),
                config.replaceAll(
                        "\"(layers)\\.0\\.([\\w.]+)\"", "\"$1.0.$2\", \"$1.2.$2\", \"$1.4.$2\""));
        String file = "adapter_model.safetensors";
        deepen(source.resolve(file), folder.resolve(file));
        return folder;
    }

    private static void deepen(Path source, Path target) throws IOException {
        Map<String, byte[]> tensors = new TreeMap<>();
        Map<String, long[]> shapes = new TreeMap<>();
        try (SafetensorsFile file = SafetensorsFile.open(source)) {
            for (Map.Entry<String, TensorInfo> entry : file.tensors().entrySet()) {
                String name = entry.getKey();
                byte[] data = file.read(entry.getValue());
                int at = name.indexOf(LAYER);
                if (at < 0) {
                    tensors.put(name, data);
                    shapes.put(name, entry.getValue().shape());
                    continue;
                }
                int number = at + LAYER.length();
                for (int i = name.charAt(number) - '0'; i < LAYERS; i += 2) {
                    String deeper = name.substring(0, number) + i + name.substring(number + 1);
                    tensors.put(deeper, scaled(data, 1 + i / 8f));
                    shapes.put(deeper, entry.getValue().shape());
                }
            }
        }
        write(target, tensors, shapes);
    }

    private static byte[] scaled(byte[] floats, float factor) {
        ByteBuffer result = ByteBuffer.wrap(floats.clone()).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < floats.length; i += Float.BYTES) {
            result.putFloat(i, result.getFloat(i) * factor);
        }
        return result.array();
    }

    private static void write(Path file, Map<String, byte[]> tensors, Map<String, long[]> shapes)
            throws IOException {
        StringJoiner header = new StringJoiner(",", "{", "}");
        header.add("\"__metadata__\":{\"format\":\"pt\"}");
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (Map.Entry<String, byte[]> entry : tensors.entrySet()) {
            int from = data.size();
            data.writeBytes(entry.getValue());
            header.add(
                    '"'
                            + entry.getKey()
                            + "\":{\"dtype\":\"F32\",\"shape\":"
                            + Arrays.toString(shapes.get(entry.getKey()))
                            + ",\"data_offsets\":["
                            + from
                            + ','
                            + data.size()
                            + "]}");
        }
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(
                ByteBuffer.allocate(Long.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(text.length)
                        .array());
        all.writeBytes(text);
        all.writeBytes(data.toByteArray());
        Files.write(file, all.toByteArray());
    }
}
