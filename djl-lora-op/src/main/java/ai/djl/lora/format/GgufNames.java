/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.json.Message;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What llama.cpp calls the modules of a model, and what Hugging Face's transformers calls them
 * ({@code gguf-py/gguf/tensor_mapping.py}).
 *
 * <p>Only architectures are known of which it is known how llama.cpp's converter changes the
 * numbers: for {@code llama} (which Mistral models are as well) it changes the order of the rows of
 * query and key projections, for the others it changes nothing in the linear layers.
 */
final class GgufNames {

    /** The architecture whose query and key rows are stored in another order. */
    static final String LLAMA = "llama";

    private static final Set<String> ARCHITECTURES =
            Set.of(LLAMA, "qwen2", "qwen3", "gemma", "gemma2");

    private static final Map<String, String> OF_LAYER =
            Map.of(
                    "attn_q", "self_attn.q_proj",
                    "attn_k", "self_attn.k_proj",
                    "attn_v", "self_attn.v_proj",
                    "attn_output", "self_attn.o_proj",
                    "ffn_gate", "mlp.gate_proj",
                    "ffn_up", "mlp.up_proj",
                    "ffn_down", "mlp.down_proj");

    private static final Pattern LAYER =
            Pattern.compile("blk\\.(\\d{1,9})\\.(\\w+)\\.weight\\.lora_([ab])");
    private static final Pattern WHOLE =
            Pattern.compile("(output|token_embd)\\.weight\\.lora_([ab])");

    private GgufNames() {}

    /** What of a module a tensor is. */
    enum Part {
        /** An ordinary matrix. */
        PLAIN,
        /** The second matrix of a query projection. */
        QUERY_ROWS,
        /** The second matrix of a key projection. */
        KEY_ROWS,
        /** The first matrix of an embedding, which llama.cpp keeps as [vocabulary, rank]. */
        EMBEDDING_COLUMNS
    }

    /**
     * A tensor's name by PEFT, and what to do with its bytes.
     *
     * @param name the name as PEFT saves it
     * @param part what the tensor is
     */
    record Target(String name, Part part) {}

    /**
     * Refuses architectures of which it is not known how to undo what llama.cpp's converter did.
     */
    static void checkArchitecture(DataChannel file, String architecture) {
        if (!ARCHITECTURES.contains(architecture)) {
            throw file.fail(
                    "general.architecture is "
                            + Message.quote(architecture)
                            + ", supported are "
                            + String.join(", ", ARCHITECTURES.stream().sorted().toList()));
        }
    }

    /** Returns what a tensor is called elsewhere. */
    static Target of(DataChannel file, String name) {
        Matcher layer = LAYER.matcher(name);
        if (layer.matches() && OF_LAYER.containsKey(layer.group(2))) {
            boolean second = layer.group(3).equals("b");
            Part part = Part.PLAIN;
            if (second && layer.group(2).equals("attn_q")) {
                part = Part.QUERY_ROWS;
            } else if (second && layer.group(2).equals("attn_k")) {
                part = Part.KEY_ROWS;
            }
            String module = "model.layers." + layer.group(1) + '.' + OF_LAYER.get(layer.group(2));
            return new Target(saved(module, second ? "lora_B.weight" : "lora_A.weight"), part);
        }
        Matcher whole = WHOLE.matcher(name);
        if (!whole.matches()) {
            throw file.fail(
                    "tensor "
                            + Message.quote(name)
                            + " is no LoRA matrix of a module that is known, such as"
                            + " blk.0.attn_q.weight.lora_a");
        }
        boolean second = whole.group(2).equals("b");
        if (whole.group(1).equals("output")) {
            return new Target(
                    saved("lm_head", second ? "lora_B.weight" : "lora_A.weight"), Part.PLAIN);
        }
        return new Target(
                saved("model.embed_tokens", second ? "lora_embedding_B" : "lora_embedding_A"),
                second ? Part.PLAIN : Part.EMBEDDING_COLUMNS);
    }

    private static String saved(String module, String parameter) {
        return "base_model.model." + module + '.' + parameter;
    }
}
