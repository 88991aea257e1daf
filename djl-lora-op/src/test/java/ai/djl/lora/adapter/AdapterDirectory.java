/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.TempDirectory;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;

/** A small adapter on the disk, right until a test spoils it. */
public final class AdapterDirectory implements AutoCloseable {

    public static final String Q = "model.layers.0.self_attn.q_proj";
    public static final String V = "model.layers.0.self_attn.v_proj";
    public static final String PREFIX = "base_model.model.";

    /** A model of one layer; its output layer is not adapted. */
    public static final List<LoraModule> MODULES =
            List.of(
                    new LoraModule(0, Q, 6, 4),
                    new LoraModule(1, V, 6, 2),
                    new LoraModule(2, "model.layers.0.mlp.up_proj", 6, 10),
                    new LoraModule(3, "lm_head", 6, 12));

    /** The same model as adapters see it. */
    public static final ModelLayout LAYOUT =
            new ModelLayout(
                    MODULES,
                    Map.of("model.norm", 6),
                    Optional.of(
                            new ModelLayout.Embedding(
                                    "model.embed_tokens", 12, 6, Optional.empty())),
                    Optional.of(new ModelLayout.Attention(1, 1, 2)));

    /** The same model with an output layer that shares the embedding's weights. */
    public static final ModelLayout TIED =
            new ModelLayout(
                    MODULES,
                    LAYOUT.norms(),
                    Optional.of(
                            new ModelLayout.Embedding(
                                    "model.embed_tokens", 12, 6, Optional.of("lm_head"))),
                    LAYOUT.attention());

    public final JsonObject config =
            JsonParser.parseString(
                            "{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 6,"
                                    + " \"target_modules\": [\"q_proj\", \"v_proj\"]}")
                    .getAsJsonObject();
    public final Map<String, HostTensor> tensors = new LinkedHashMap<>();
    private final TempDirectory directory;
    private boolean kept;

    public AdapterDirectory() throws IOException {
        directory = new TempDirectory();
        put(PREFIX + Q + ".lora_A.weight", ElementType.FLOAT32, 3, 6);
        put(PREFIX + Q + ".lora_B.weight", ElementType.FLOAT32, 4, 3);
        put(PREFIX + V + ".lora_A.weight", ElementType.FLOAT32, 3, 6);
        put(PREFIX + V + ".lora_B.weight", ElementType.FLOAT32, 2, 3);
    }

    public Path path() {
        return directory.path();
    }

    /** Puts a tensor whose values follow from its number of elements. */
    public void put(String name, ElementType type, int rows, int columns) {
        float[] values = values(rows * columns);
        tensors.put(name, SafetensorsWriter.tensor(type, rows, columns, values));
    }

    /** Puts a float32 tensor of any shape whose values follow from their number. */
    public AdapterDirectory put(String name, long... shape) {
        int count = 1;
        for (long dimension : shape) {
            count = (int) (count * dimension);
        }
        tensors.put(name, HostTensor.of(values(count), shape));
        return this;
    }

    private static float[] values(int count) {
        float[] values = new float[count];
        Random random = new Random(count);
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Takes everything away and sets the configuration. */
    public AdapterDirectory begin(String json) {
        config.asMap().clear();
        JsonParser.parseString(json).getAsJsonObject().asMap().forEach(config::add);
        tensors.clear();
        return this;
    }

    /** Sets a field of the configuration to JSON text, or removes it with null. */
    public AdapterDirectory with(String field, String json) {
        if (json == null) {
            config.remove(field);
        } else {
            JsonElement value = JsonParser.parseString(json);
            config.add(field, value);
        }
        return this;
    }

    /** Deletes the folder. */
    public void delete() throws IOException {
        directory.close();
        kept = true;
    }

    /** Deletes a file of the written adapter. */
    public void delete(String file) throws IOException {
        write();
        Files.delete(path().resolve(file));
        kept = true;
    }

    /** Cuts a file of the written adapter. */
    public void truncate(String file, int length) throws IOException {
        write();
        Path cut = path().resolve(file);
        Files.write(cut, Arrays.copyOf(Files.readAllBytes(cut), length));
        kept = true;
    }

    /** Says that what is on the disk is to stay. */
    public void keep() {
        kept = true;
    }

    public void writeUnlessKept() throws IOException {
        if (!kept) {
            write();
        }
    }

    public void write() throws IOException {
        directory.write(PeftConfig.FILE_NAME, config.toString());
        SafetensorsWriter.write(path().resolve("adapter_model.safetensors"), tensors);
    }

    public LoraAdapter load() throws IOException {
        return load(LAYOUT, LoadingPolicy.STRICT);
    }

    public LoraAdapter load(ModelLayout layout, LoadingPolicy policy) throws IOException {
        write();
        return AdapterLoader.load(path(), layout, policy);
    }

    public LoadReport validate(LoadingPolicy policy) throws IOException {
        write();
        return AdapterLoader.validate(path(), LAYOUT, policy);
    }

    @Override
    public void close() throws IOException {
        if (Files.exists(path())) {
            directory.close();
        }
    }
}
