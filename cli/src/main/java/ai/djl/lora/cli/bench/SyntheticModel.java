/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.model.LlamaConfig;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;

/**
 * Folders with models and adapters of a known shape and random weights, as Hugging Face and PEFT
 * write them.
 *
 * @param name the name on the command line, behind {@code synthetic:}
 * @param layers the number of decoder layers
 * @param hidden the size of a token's vector
 * @param heads the number of query heads
 * @param keyHeads the number of key and value heads
 * @param headSize the size of a head
 * @param inner the size of the feed-forward part
 * @param vocabulary the number of tokens
 * @param tied whether the output layer is the embedding
 */
record SyntheticModel(
        String name,
        int layers,
        int hidden,
        int heads,
        int keyHeads,
        int headSize,
        int inner,
        int vocabulary,
        boolean tied) {

    /** What begins the name of a synthetic model where a folder could stand. */
    static final String PREFIX = "synthetic:";

    private static final int POSITIONS = 4096;

    /** Tensors go to a new file when one has this many bytes. */
    private static final long SHARD_BYTES = 4L << 30;

    private static final Map<String, SyntheticModel> MODELS = models();

    private static Map<String, SyntheticModel> models() {
        Map<String, SyntheticModel> models = new TreeMap<>();
        List.of(
                        new SyntheticModel("qwen2-0.5b", 24, 896, 14, 2, 64, 4864, 151_936, true),
                        new SyntheticModel(
                                "qwen2-7b", 28, 3584, 28, 4, 128, 18_944, 152_064, false),
                        new SyntheticModel("qwen2-tiny", 2, 128, 4, 2, 32, 256, 1_000, true))
                .forEach(model -> models.put(model.name, model));
        return models;
    }

    /**
     * Finds a shape.
     *
     * @param name its name
     * @return the shape
     * @throws LoraConfigurationException if there is none of that name
     */
    static SyntheticModel named(String name) {
        SyntheticModel model = MODELS.get(name);
        if (model == null) {
            throw new LoraConfigurationException(
                    "There is no synthetic model \"" + name + "\"; there are " + MODELS.keySet());
        }
        return model;
    }

    /**
     * Returns the shape of a real model, for adapters that fit it.
     *
     * @param name what to call it
     * @param config the model's configuration
     * @return its shape
     */
    static SyntheticModel of(String name, LlamaConfig config) {
        return new SyntheticModel(
                name,
                config.numHiddenLayers(),
                config.hiddenSize(),
                config.numAttentionHeads(),
                config.numKeyValueHeads(),
                config.headDim(),
                config.intermediateSize(),
                config.vocabSize(),
                config.tieWordEmbeddings());
    }

    /** A tensor of a file. */
    private record Tensor(String name, long[] shape) {

        long bytes() {
            long elements = 1;
            for (long size : shape) {
                elements *= size;
            }
            return elements * Short.BYTES;
        }
    }

    private Map<String, int[]> linears() {
        int queries = headSize * heads;
        int keys = headSize * keyHeads;
        Map<String, int[]> shapes = new LinkedHashMap<>();
        shapes.put("self_attn.q_proj", new int[] {queries, hidden});
        shapes.put("self_attn.k_proj", new int[] {keys, hidden});
        shapes.put("self_attn.v_proj", new int[] {keys, hidden});
        shapes.put("self_attn.o_proj", new int[] {hidden, queries});
        shapes.put("mlp.gate_proj", new int[] {inner, hidden});
        shapes.put("mlp.up_proj", new int[] {inner, hidden});
        shapes.put("mlp.down_proj", new int[] {hidden, inner});
        return shapes;
    }

    /** Returns the number of multiply-adds for a token, those of the output layer too. */
    long products() {
        long each = 0;
        for (int[] shape : linears().values()) {
            each += (long) shape[0] * shape[1];
        }
        return each * layers + (long) vocabulary * hidden;
    }

    /** Returns the number of weights, without the norms'. */
    long weights() {
        return products() + (tied ? 0 : (long) vocabulary * hidden);
    }

    /** Returns the number of multiply-adds for a token in an adapter of all linear layers. */
    long adapterProducts(int rank) {
        long each = 0;
        for (int[] shape : linears().values()) {
            each += (long) rank * (shape[0] + shape[1]);
        }
        return each * layers;
    }

    /** Returns the bytes of keys and values of a token in bfloat16, over all layers. */
    long keyValueBytes() {
        return 2L * layers * keyHeads * headSize * Short.BYTES;
    }

    private static String layer(int layer, String part) {
        return "model.layers." + layer + '.' + part;
    }

    /**
     * Writes the model in bfloat16.
     *
     * @param folder the folder to make
     * @return the folder
     * @throws IOException if it cannot be written
     */
    Path writeModel(Path folder) throws IOException {
        Files.createDirectories(folder);
        List<Tensor> tensors = new ArrayList<>();
        tensors.add(new Tensor("model.embed_tokens.weight", new long[] {vocabulary, hidden}));
        for (int i = 0; i < layers; ++i) {
            for (Map.Entry<String, int[]> linear : linears().entrySet()) {
                int[] shape = linear.getValue();
                String name = layer(i, linear.getKey());
                tensors.add(new Tensor(name + ".weight", new long[] {shape[0], shape[1]}));
                if (name.endsWith("q_proj") || name.endsWith("k_proj") || name.endsWith("v_proj")) {
                    tensors.add(new Tensor(name + ".bias", new long[] {shape[0]}));
                }
            }
            tensors.add(new Tensor(layer(i, "input_layernorm.weight"), new long[] {hidden}));
            tensors.add(
                    new Tensor(layer(i, "post_attention_layernorm.weight"), new long[] {hidden}));
        }
        tensors.add(new Tensor("model.norm.weight", new long[] {hidden}));
        if (!tied) {
            tensors.add(new Tensor("lm_head.weight", new long[] {vocabulary, hidden}));
        }
        writeShards(folder, tensors);
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", "qwen2");
        config.put("architectures", List.of("Qwen2ForCausalLM"));
        config.put("hidden_act", "silu");
        config.put("torch_dtype", "bfloat16");
        config.put("tie_word_embeddings", tied);
        config.put("rms_norm_eps", 1e-6);
        config.put("rope_theta", 1e6);
        config.put("max_position_embeddings", POSITIONS);
        config.put("num_attention_heads", heads);
        config.put("num_key_value_heads", keyHeads);
        config.put("eos_token_id", 0);
        config.put("vocab_size", vocabulary);
        config.put("hidden_size", hidden);
        config.put("intermediate_size", inner);
        config.put("num_hidden_layers", layers);
        config.put("use_sliding_window", false);
        write(folder.resolve("config.json"), config);
        return folder;
    }

    private static void writeShards(Path folder, List<Tensor> tensors) throws IOException {
        List<List<Tensor>> shards = new ArrayList<>(List.of(new ArrayList<>()));
        long bytes = 0;
        long total = 0;
        for (Tensor tensor : tensors) {
            if (bytes > 0 && bytes + tensor.bytes() > SHARD_BYTES) {
                shards.add(new ArrayList<>());
                bytes = 0;
            }
            shards.get(shards.size() - 1).add(tensor);
            bytes += tensor.bytes();
            total += tensor.bytes();
        }
        if (shards.size() == 1) {
            write(folder.resolve("model.safetensors"), tensors, 1);
            return;
        }
        Map<String, String> weightMap = new LinkedHashMap<>();
        for (int i = 0; i < shards.size(); ++i) {
            String file = String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
            write(folder.resolve(file), shards.get(i), i + 1L);
            shards.get(i).forEach(tensor -> weightMap.put(tensor.name, file));
        }
        Map<String, Object> index = new LinkedHashMap<>();
        index.put("metadata", Map.of("total_size", total));
        index.put("weight_map", weightMap);
        write(folder.resolve("model.safetensors.index.json"), index);
    }

    /**
     * Writes an adapter of all linear layers in bfloat16.
     *
     * @param folder the folder to make
     * @param rank its rank
     * @param seed tells its numbers from others'
     * @return the folder
     * @throws IOException if it cannot be written
     */
    Path writeAdapter(Path folder, int rank, long seed) throws IOException {
        Files.createDirectories(folder);
        List<Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < layers; ++i) {
            for (Map.Entry<String, int[]> linear : linears().entrySet()) {
                String name = "base_model.model." + layer(i, linear.getKey());
                int[] shape = linear.getValue();
                tensors.add(new Tensor(name + ".lora_A.weight", new long[] {rank, shape[1]}));
                tensors.add(new Tensor(name + ".lora_B.weight", new long[] {shape[0], rank}));
            }
        }
        write(folder.resolve("adapter_model.safetensors"), tensors, seed);
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("peft_type", "LORA");
        config.put("r", rank);
        config.put("lora_alpha", 2 * rank);
        config.put(
                "target_modules",
                linears().keySet().stream()
                        .map(module -> module.substring(module.indexOf('.') + 1))
                        .toList());
        write(folder.resolve("adapter_config.json"), config);
        return folder;
    }

    private static void write(Path file, Object json) throws IOException {
        Gson gson = new GsonBuilder().setPrettyPrinting().create();
        Files.writeString(file, gson.toJson(json));
    }

    private static void write(Path file, List<Tensor> tensors, long seed) throws IOException {
        Map<String, Object> header = new LinkedHashMap<>();
        long end = 0;
        for (Tensor tensor : tensors) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("dtype", "BF16");
            entry.put("shape", tensor.shape);
            entry.put("data_offsets", new long[] {end, end + tensor.bytes()});
            header.put(tensor.name, entry);
            end += tensor.bytes();
        }
        String json = new Gson().toJson(header);
        // as the safetensors library does, so that every tensor lies where its type wants it
        byte[] text = (json + " ".repeat(-json.length() & 7)).getBytes(StandardCharsets.UTF_8);
        ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        length.putLong(text.length);
        byte[] block = block(seed);
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 20)) {
            out.write(length.array());
            out.write(text);
            for (long done = 0; done < end; done += block.length) {
                out.write(block, 0, (int) Math.min(block.length, end - done));
            }
        }
    }

    /* Numbers around 0.01 of both signs: a sign, one of two exponents, a random mantissa. */
    private static byte[] block(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        ByteBuffer block = ByteBuffer.allocate(4 << 20).order(ByteOrder.LITTLE_ENDIAN);
        while (block.hasRemaining()) {
            int bits = random.nextInt();
            block.putShort((short) (bits & 0x8000 | 0x3c00 + (bits & 0xff)));
        }
        return block.array();
    }
}
