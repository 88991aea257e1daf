/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cli.DjlLora;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.Test;

/** An adapter of 200 MB is validated against a model of 10 GB in a heap of 64 MB. */
public class AdaptersMemoryTest {

    private static final int HIDDEN = 16_384;
    private static final int RANK = 256;
    private static final int LAYERS = 2;
    private static final List<String> HEAP = List.of("-Xmx56m", "-XX:MaxDirectMemorySize=8m");
    private static final String[] PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj"};

    @Test
    public void testLargeAdapter() throws Exception {
        try (AdapterCopy copy = new AdapterCopy("llama", "lora")) {
            Path model = copy.beside("model");
            Files.createDirectory(model);
            long weights = writeModel(model);
            Assert.assertTrue(weights > 8L << 30, weights + " bytes");
            long bytes = writeAdapter(copy);
            Assert.assertTrue(bytes >= 200_000_000, bytes + " bytes");
            Execution run =
                    Execution.java(
                                    DjlLora.class,
                                    HEAP,
                                    Map.of(),
                                    "adapters",
                                    "validate",
                                    "--json",
                                    "--model",
                                    model.toString(),
                                    copy.folder().toString())
                            .assertExitCode(0);
            JsonObject report = JsonParser.parseString(run.out()).getAsJsonObject();
            Assert.assertEquals(report.getAsJsonArray("modules").size(), 4 * LAYERS);
            Assert.assertTrue(report.get("revision").getAsString().matches("[0-9a-f]{64}"));
        }
    }

    /* The weights are a hole in the file, of which nothing is read and which takes no room. */
    private static long writeModel(Path folder) throws IOException {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("model.embed_tokens.weight", new long[] {64, HIDDEN});
        for (int layer = 0; layer < LAYERS; ++layer) {
            String prefix = "model.layers." + layer + '.';
            for (String name : PROJECTIONS) {
                shapes.put(prefix + "self_attn." + name + ".weight", new long[] {HIDDEN, HIDDEN});
            }
            for (String name : new String[] {"gate_proj", "up_proj", "down_proj"}) {
                shapes.put(prefix + "mlp." + name + ".weight", new long[] {HIDDEN, HIDDEN});
            }
            shapes.put(prefix + "input_layernorm.weight", new long[] {HIDDEN});
            shapes.put(prefix + "post_attention_layernorm.weight", new long[] {HIDDEN});
        }
        shapes.put("model.norm.weight", new long[] {HIDDEN});
        shapes.put("lm_head.weight", new long[] {64, HIDDEN});
        Files.writeString(
                folder.resolve("config.json"),
                "{\"model_type\": \"llama\", \"vocab_size\": 64, \"hidden_size\": "
                        + HIDDEN
                        + ", \"intermediate_size\": "
                        + HIDDEN
                        + ", \"num_hidden_layers\": "
                        + LAYERS
                        + ", \"num_attention_heads\": 128, \"max_position_embeddings\": 64}");
        Path file = folder.resolve("model.safetensors");
        long size = writeHeader(file, shapes);
        try (RandomAccessFile hole = new RandomAccessFile(file.toFile(), "rw")) {
            hole.setLength(hole.length() + size);
        }
        return size;
    }

    private static long writeAdapter(AdapterCopy copy) throws IOException {
        copy.edit(
                config -> {
                    config.addProperty("r", RANK);
                    config.addProperty("lora_alpha", RANK);
                    config.addProperty(
                            "target_modules", ".*self_attn\\.(q_proj|k_proj|v_proj|o_proj)");
                });
        Map<String, long[]> shapes = new LinkedHashMap<>();
        for (int layer = 0; layer < LAYERS; ++layer) {
            for (String name : PROJECTIONS) {
                String module = "base_model.model.model.layers." + layer + ".self_attn." + name;
                shapes.put(module + ".lora_A.weight", new long[] {RANK, HIDDEN});
                shapes.put(module + ".lora_B.weight", new long[] {HIDDEN, RANK});
            }
        }
        long size = writeHeader(copy.weights(), shapes);
        ByteBuffer piece = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
        while (piece.hasRemaining()) {
            piece.putFloat(piece.position() % 1000 - 500.5f);
        }
        try (OutputStream out = Files.newOutputStream(copy.weights(), StandardOpenOption.APPEND)) {
            for (long written = 0; written < size; written += piece.capacity()) {
                out.write(piece.array(), 0, (int) Math.min(piece.capacity(), size - written));
            }
        }
        return size;
    }

    /** Writes a header, and returns how many bytes of data belong behind it. */
    private static long writeHeader(Path file, Map<String, long[]> shapes) throws IOException {
        StringBuilder header = new StringBuilder("{");
        long end = 0;
        for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
            long size = Float.BYTES;
            for (long dimension : entry.getValue()) {
                size *= dimension;
            }
            header.append(header.length() > 1 ? "," : "")
                    .append('"')
                    .append(entry.getKey())
                    .append("\":{\"dtype\":\"F32\",\"shape\":")
                    .append(Arrays.toString(entry.getValue()))
                    .append(",\"data_offsets\":[")
                    .append(end)
                    .append(',')
                    .append(end + size)
                    .append("]}");
            end += size;
        }
        byte[] text = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes =
                ByteBuffer.allocate(Long.BYTES + text.length).order(ByteOrder.LITTLE_ENDIAN);
        Files.write(file, bytes.putLong(text.length).put(text).array());
        return end;
    }
}
