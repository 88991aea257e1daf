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
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

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
    private static final int VOCABULARY = 32_000;

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
     * Writes an adapter of all linear layers as PEFT does.
     *
     * @param folder the folder to make
     * @param seed tells its numbers from others'
     * @return the folder
     * @throws IOException if it cannot be written
     */
    public Path write(Path folder, long seed) throws IOException {
        return write(folder, seed, SHAPES.keySet());
    }

    /**
     * Writes an adapter as PEFT does.
     *
     * @param folder the folder to make
     * @param seed tells its numbers from others'
     * @param modules the linear layers to adapt, such as {@code self_attn.q_proj}
     * @return the folder
     * @throws IOException if it cannot be written
     */
    Path write(Path folder, long seed, Set<String> modules) throws IOException {
        Files.createDirectories(folder);
        JsonObject header = new JsonObject();
        long end = 0;
        for (int layer = 0; layer < layers; ++layer) {
            for (String module : modules) {
                String name = "base_model.model." + name(layer, module);
                int[] sizes = SHAPES.get(module);
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
                int value = weight(random);
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
                        + ",\"target_modules\":[\""
                        + modules.stream()
                                .map(module -> module.substring(module.indexOf('.') + 1))
                                .collect(Collectors.joining("\",\""))
                        + "\"]}");
        return folder;
    }

    /**
     * Writes a model of this shape with random weights, in Hugging Face's layout.
     *
     * @param folder the folder to make
     * @return the folder
     * @throws IOException if it cannot be written
     */
    public Path writeModel(Path folder) throws IOException {
        Files.createDirectories(folder);
        JsonObject header = new JsonObject();
        long end = add(header, "model.embed_tokens.weight", VOCABULARY, HIDDEN, 0);
        for (int layer = 0; layer < layers; ++layer) {
            for (Map.Entry<String, int[]> module : SHAPES.entrySet()) {
                int[] sizes = module.getValue();
                String name = name(layer, module.getKey()) + ".weight";
                end = add(header, name, sizes[0], sizes[1], end);
            }
            end = addNorm(header, name(layer, "input_layernorm.weight"), end);
            end = addNorm(header, name(layer, "post_attention_layernorm.weight"), end);
        }
        end = addNorm(header, "model.norm.weight", end);
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        length.putLong(text.length);
        ByteBuffer block = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
        SplittableRandom random = new SplittableRandom(1);
        while (block.hasRemaining()) {
            block.putShort((short) weight(random));
        }
        try (OutputStream out = Files.newOutputStream(folder.resolve("model.safetensors"))) {
            out.write(length.array());
            out.write(text);
            for (long done = 0; done < end; done += block.capacity()) {
                out.write(block.array(), 0, (int) Math.min(block.capacity(), end - done));
            }
        }
        Files.writeString(
                folder.resolve("config.json"),
                "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],"
                        + "\"hidden_act\":\"silu\",\"torch_dtype\":\"bfloat16\","
                        + "\"tie_word_embeddings\":true,\"rms_norm_eps\":1e-6,"
                        + "\"rope_theta\":10000.0,\"max_position_embeddings\":2048,"
                        + "\"num_attention_heads\":14,\"num_key_value_heads\":2,"
                        + "\"eos_token_id\":0,\"vocab_size\":"
                        + VOCABULARY
                        + ",\"hidden_size\":"
                        + HIDDEN
                        + ",\"intermediate_size\":"
                        + INNER
                        + ",\"num_hidden_layers\":"
                        + layers
                        + "}");
        return folder;
    }

    /* A sign, an exponent around that of 0.01, and a random mantissa. */
    private static int weight(SplittableRandom random) {
        int bits = random.nextInt();
        return bits & 0x8000 | 0x3c00 + (bits & 0xff);
    }

    private static long addNorm(JsonObject header, String name, long begin) {
        long end = begin + (long) HIDDEN * Short.BYTES;
        JsonObject tensor = new JsonObject();
        JsonArray shape = new JsonArray();
        shape.add(HIDDEN);
        tensor.addProperty("dtype", "BF16");
        tensor.add("shape", shape);
        tensor.add("data_offsets", array(begin, end));
        header.add(name, tensor);
        return end;
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
