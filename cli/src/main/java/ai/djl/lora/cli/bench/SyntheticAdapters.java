/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.LoraBackends;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Adapters of random numbers for a model of Qwen2-0.5B's shape: bfloat16, rank 8, all seven linear
 * layers of 24 decoder layers, 8.8 MB each.
 */
public final class SyntheticAdapters {

    /** The rank of every layer. */
    static final int RANK = 8;

    private static final int LAYERS = 24;
    private static final int HIDDEN = 896;
    private static final int KEYS = 128;
    private static final int INNER = 4864;

    private static final Map<String, int[]> SHAPES = shapes();

    private final int layers;

    /**
     * Constructs a new {@code SyntheticAdapters} instance.
     *
     * @param quick whether a tenth of the layers is enough
     */
    public SyntheticAdapters(boolean quick) {
        layers = quick ? LAYERS / 10 : LAYERS;
    }

    private static Map<String, int[]> shapes() {
        Map<String, int[]> shapes = new LinkedHashMap<>();
        shapes.put("self_attn.q_proj", new int[] {HIDDEN, HIDDEN});
        shapes.put("self_attn.k_proj", new int[] {KEYS, HIDDEN});
        shapes.put("self_attn.v_proj", new int[] {KEYS, HIDDEN});
        shapes.put("self_attn.o_proj", new int[] {HIDDEN, HIDDEN});
        shapes.put("mlp.gate_proj", new int[] {INNER, HIDDEN});
        shapes.put("mlp.up_proj", new int[] {INNER, HIDDEN});
        shapes.put("mlp.down_proj", new int[] {HIDDEN, INNER});
        return shapes;
    }

    /**
     * Makes a context of the model's layers, which share their weights: nobody computes with them.
     *
     * @param manager the manager of the weights
     * @return the context, owned by the caller
     */
    public LoraContext context(NDManager manager) {
        LoraContext context =
                new LoraContext(LoraBackends.choose("cpu"), ElementType.BFLOAT16, manager);
        Map<Shape, NDArray> weights = new LinkedHashMap<>();
        for (int layer = 0; layer < layers; ++layer) {
            for (Map.Entry<String, int[]> module : SHAPES.entrySet()) {
                int[] sizes = module.getValue();
                NDArray weight =
                        weights.computeIfAbsent(
                                new Shape(sizes[0], sizes[1]),
                                shape ->
                                        context.getOps()
                                                .zeros(manager, shape, ElementType.BFLOAT16));
                context.addModule(name(layer, module.getKey()), weight, null);
            }
        }
        return context;
    }

    private static String name(int layer, String module) {
        return "model.layers." + layer + '.' + module;
    }

    /**
     * Writes an adapter as PEFT does.
     *
     * @param folder the folder to make
     * @param seed tells its numbers from others'
     * @return the folder
     * @throws IOException if it cannot be written
     */
    public Path write(Path folder, long seed) throws IOException {
        Files.createDirectories(folder);
        JsonObject header = new JsonObject();
        long end = 0;
        for (int layer = 0; layer < layers; ++layer) {
            for (Map.Entry<String, int[]> module : SHAPES.entrySet()) {
                String name = "base_model.model." + name(layer, module.getKey());
                int[] sizes = module.getValue();
                end = add(header, name + ".lora_A.weight", RANK, sizes[1], end);
                end = add(header, name + ".lora_B.weight", sizes[0], RANK, end);
            }
        }
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        length.putLong(text.length);
        SplittableRandom random = new SplittableRandom(seed);
        Path file = folder.resolve("adapter_model.safetensors");
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 20)) {
            out.write(length.array());
            out.write(text);
            for (long i = 0; i < end; i += Short.BYTES) {
                // a sign, an exponent around that of 0.01, and a random mantissa
                int bits = random.nextInt();
                int value = bits & 0x8000 | 0x3c00 + (bits & 0xff);
                out.write(value);
                out.write(value >> 8);
            }
        }
        Files.writeString(
                folder.resolve("adapter_config.json"),
                "{\"peft_type\":\"LORA\",\"r\":"
                        + RANK
                        + ",\"lora_alpha\":"
                        + 2 * RANK
                        + ",\"target_modules\":[\"q_proj\",\"k_proj\",\"v_proj\",\"o_proj\","
                        + "\"gate_proj\",\"up_proj\",\"down_proj\"]}");
        return folder;
    }

    private static long add(JsonObject header, String name, long rows, long columns, long begin) {
        long end = begin + rows * columns * Short.BYTES;
        JsonObject tensor = new JsonObject();
        tensor.addProperty("dtype", "BF16");
        tensor.add("shape", array(rows, columns));
        tensor.add("data_offsets", array(begin, end));
        header.add(name, tensor);
        return end;
    }

    private static JsonArray array(long first, long second) {
        JsonArray array = new JsonArray();
        array.add(first);
        array.add(second);
        return array;
    }
}
