/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The part of a model that an adapter's tensors speak of, for looking at an adapter without its
 * model.
 *
 * <p>An adapter says how large the layers are that it changes, but for these: an IA3 vector gives
 * one side of its layer, and the other counts as 1; VeRA's shared matrix is as wide as the widest
 * layer, and each counts as that wide; a vocabulary that only replaced rows tell of counts as the
 * largest. That an adapter fits this layout says that it agrees with itself, and nothing of any
 * model.
 */
public final class InferredLayout {

    private static final String VERA_A = "base_model.vera_A";
    private static final String PROMPT = "prompt_embeddings";

    private final Map<String, Sides> linears = new LinkedHashMap<>();
    private final Map<String, Integer> norms = new LinkedHashMap<>();
    private final Map<String, TensorInfo> tensors;
    private final JsonObject config;
    private String embedding;
    private int vocabulary = Integer.MAX_VALUE;
    private int hidden = 1;
    private String tiedTo;
    private ModelLayout.Attention attention;

    private InferredLayout(Map<String, TensorInfo> tensors, JsonObject config) {
        this.tensors = tensors;
        this.config = config;
    }

    /**
     * Returns the layout that an adapter's tensors have the shapes of.
     *
     * @param files the adapter
     * @return the layout; of tensors of no known kind it holds nothing
     */
    public static ModelLayout of(AdapterFiles files) {
        InferredLayout layout = new InferredLayout(files.tensors(), files.config());
        files.tensors().forEach(layout::add);
        return layout.build();
    }

    private ModelLayout build() {
        if (embedding != null) {
            linears.remove(embedding);
        }
        List<LoraModule> modules = new ArrayList<>();
        linears.forEach(
                (name, sides) ->
                        modules.add(new LoraModule(modules.size(), name, sides.in, sides.out)));
        return new ModelLayout(
                modules,
                norms,
                Optional.ofNullable(embedding)
                        .map(
                                name ->
                                        new ModelLayout.Embedding(
                                                name,
                                                vocabulary,
                                                hidden,
                                                Optional.ofNullable(tiedTo))),
                Optional.ofNullable(attention));
    }

    private void add(String name, TensorInfo tensor) {
        if (PROMPT.equals(name)) {
            addPrompt(tensor);
            return;
        }
        int dot = name.lastIndexOf('.');
        if (dot < 0 || name.startsWith("base_model.")) {
            return;
        }
        String module = name.substring(0, dot);
        String parameter = name.substring(dot + 1);
        int above = module.lastIndexOf('.');
        String parent = above < 0 ? "" : module.substring(0, above);
        String last = module.substring(above + 1);
        if ("weight".equals(parameter) || "bias".equals(parameter)) {
            if ("lora_A".equals(last) || "lora_B".equals(last)) {
                addMatrix(parent, last, tensor);
            } else {
                addReplaced("base_layer".equals(last) ? parent : module, parameter, tensor);
            }
        } else if ("trainable_tokens_delta".equals(parameter)) {
            addTokens("token_adapter".equals(last) ? parent : module, tensor);
        } else {
            addMatrix(module, parameter, tensor);
        }
    }

    private void addMatrix(String module, String parameter, TensorInfo tensor) {
        switch (parameter) {
            case "lora_A" -> sides(module).in = side(tensor, 1);
            case "lora_B" -> sides(module).out = side(tensor, 0);
            case "lora_embedding_A" -> {
                embedding = module;
                vocabulary = side(tensor, 1);
            }
            case "lora_embedding_B" -> {
                embedding = module;
                hidden = side(tensor, 0);
            }
            case "ia3_l" -> addScales(module, tensor);
            case "vera_lambda_b" -> {
                Sides sides = sides(module);
                sides.out = side(tensor, 0);
                sides.in = tensors.containsKey(VERA_A) ? side(tensors.get(VERA_A), 1) : 1;
            }
            case "hada_w1_a" -> sides(module).out = side(tensor, 0);
            case "hada_w1_b" -> sides(module).in = side(tensor, 1);
            // a Kronecker product has as many rows and columns as its factors' multiplied
            case "lokr_w1", "lokr_w2" -> {
                multiplyOut(module, tensor);
                multiplyIn(module, tensor);
            }
            case "lokr_w1_a", "lokr_w2_a" -> multiplyOut(module, tensor);
            case "lokr_w1_b", "lokr_w2_b" -> multiplyIn(module, tensor);
            default -> {
                // what else there is says nothing new of its layer
            }
        }
    }

    private void multiplyOut(String module, TensorInfo factor) {
        Sides sides = sides(module);
        sides.out = clamp((long) sides.out * side(factor, 0));
    }

    private void multiplyIn(String module, TensorInfo factor) {
        Sides sides = sides(module);
        sides.in = clamp((long) sides.in * side(factor, 1));
    }

    private void addScales(String module, TensorInfo tensor) {
        // [out, 1] scales outputs, [1, in] the inputs of a feed-forward layer
        if (side(tensor, 1) == 1) {
            sides(module).out = side(tensor, 0);
        } else {
            sides(module).in = side(tensor, 1);
        }
    }

    private void addReplaced(String module, String parameter, TensorInfo tensor) {
        if ("bias".equals(parameter)) {
            sides(module).out = side(tensor, 0);
        } else if (tensor.shape().length == 1) {
            norms.put(module, side(tensor, 0));
        } else if (isEmbedding(module)) {
            embedding = module;
            vocabulary = side(tensor, 0);
            hidden = side(tensor, 1);
        } else {
            sides(module).out = side(tensor, 0);
            sides(module).in = side(tensor, 1);
        }
    }

    private void addTokens(String module, TensorInfo rows) {
        if (isEmbedding(module)) {
            embedding = module;
            hidden = side(rows, 1);
        } else {
            // PEFT saves rows of the output layer where it shares the embedding's weights
            tiedTo = module;
            Sides sides = sides(module);
            sides.in = side(rows, 1);
            sides.out = Integer.MAX_VALUE;
        }
    }

    private void addPrompt(TensorInfo tensor) {
        int width = side(tensor, 1);
        if (!"PREFIX_TUNING".equals(text("peft_type"))) {
            embedding = "embed_tokens";
            hidden = width;
            return;
        }
        int layers = number("num_layers");
        int heads = number("num_attention_heads");
        int size = number("token_dim");
        boolean agree = heads > 0 && size % heads == 0 && 2L * layers * size == width;
        attention =
                agree
                        ? new ModelLayout.Attention(layers, heads, size / heads)
                        : new ModelLayout.Attention(1, 1, Math.max(1, width / 2));
    }

    /** Names of embeddings; transformers knows them by their class, which a file does not hold. */
    private boolean isEmbedding(String module) {
        String last = module.substring(module.lastIndexOf('.') + 1);
        return module.equals(embedding)
                || last.startsWith("embed")
                || "wte".equals(last)
                || "word_embeddings".equals(last);
    }

    private Sides sides(String module) {
        return linears.computeIfAbsent(module, name -> new Sides());
    }

    private String text(String field) {
        JsonElement value = config.get(field);
        return value != null && value.isJsonPrimitive() ? value.getAsString() : "";
    }

    private int number(String field) {
        try {
            return Integer.parseInt(text(field));
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    private static int side(TensorInfo tensor, int dimension) {
        long[] shape = tensor.shape();
        // what has no such dimension, or is empty, does not fit and is reported as that
        long size = dimension < shape.length ? shape[dimension] : 1;
        return clamp(size);
    }

    private static int clamp(long size) {
        return (int) Math.max(1, Math.min(size, Integer.MAX_VALUE));
    }

    /** How large a layer is. */
    private static final class Sides {

        private int in = 1;
        private int out = 1;
    }
}
