/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.op.LoraModule;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Writes adapters with normally distributed weights in PEFT's layout. */
final class AdapterWriter {

    private AdapterWriter() {}

    /**
     * Writes an adapter of all of a model's modules.
     *
     * @param directory the folder to make
     * @param modules the model's modules
     * @param rank the rank
     * @param deviation the standard deviation of all weights
     * @param seed the seed of the weights
     * @return the folder
     */
    static Path write(
            Path directory, List<LoraModule> modules, int rank, float deviation, long seed)
            throws IOException {
        Files.createDirectories(directory);
        String targets =
                modules.stream()
                        .map(module -> module.name().substring(module.name().lastIndexOf('.') + 1))
                        .collect(Collectors.toCollection(TreeSet::new))
                        .stream()
                        .map(name -> '"' + name + '"')
                        .collect(Collectors.joining(", "));
        Files.writeString(
                directory.resolve("adapter_config.json"),
                "{\"peft_type\": \"LORA\", \"task_type\": \"CAUSAL_LM\", \"r\": "
                        + rank
                        + ", \"lora_alpha\": "
                        + rank
                        + ", \"bias\": \"none\", \"target_modules\": ["
                        + targets
                        + "]}");
        JsonObject header = new JsonObject();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        Random random = new Random(seed);
        for (LoraModule module : modules) {
            String name = "base_model.model." + module.name();
            put(
                    header,
                    data,
                    name + ".lora_A.weight",
                    rank,
                    module.inFeatures(),
                    deviation,
                    random);
            put(
                    header,
                    data,
                    name + ".lora_B.weight",
                    module.outFeatures(),
                    rank,
                    deviation,
                    random);
        }
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        ByteBuffer file =
                ByteBuffer.allocate(8 + text.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(text.length).put(text).put(data.toByteArray());
        Files.write(directory.resolve("adapter_model.safetensors"), file.array());
        return directory;
    }

    private static void put(
            JsonObject header,
            ByteArrayOutputStream data,
            String name,
            int rows,
            int columns,
            float deviation,
            Random random) {
        int begin = data.size();
        ByteBuffer weights =
                ByteBuffer.allocate(rows * columns * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < rows * columns; ++i) {
            weights.putFloat((float) random.nextGaussian() * deviation);
        }
        data.writeBytes(weights.array());
        JsonObject entry = new JsonObject();
        entry.addProperty("dtype", "F32");
        entry.add("shape", ints(rows, columns));
        entry.add("data_offsets", ints(begin, data.size()));
        header.add(name, entry);
    }

    private static JsonArray ints(int... values) {
        JsonArray array = new JsonArray();
        for (int value : values) {
            array.add(value);
        }
        return array;
    }
}
