/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Says what of a model of the Llama family adapters may change, as {@link LlamaBlock} does once it
 * is loaded, from the configuration alone.
 */
public final class LlamaLayout {

    private final LlamaConfig config;
    private final List<LoraModule> linears = new ArrayList<>();
    private final Map<String, Integer> norms = new LinkedHashMap<>();

    private LlamaLayout(LlamaConfig config) {
        this.config = config;
        int hidden = config.hiddenSize();
        for (int layer = 0; layer < config.numHiddenLayers(); ++layer) {
            addLayer("model.layers." + layer + '.', hidden);
        }
        norms.put(LlamaWeights.FINAL_NORM, hidden);
        addLinear(LlamaWeights.OUTPUT, hidden, config.vocabSize());
    }

    /**
     * Returns the layout of a model.
     *
     * @param config the model's configuration
     * @return the layout, linear layers in the order in which the model applies them
     */
    public static ModelLayout of(LlamaConfig config) {
        LlamaLayout layout = new LlamaLayout(config);
        Optional<String> tiedTo =
                config.tieWordEmbeddings() ? Optional.of(LlamaWeights.OUTPUT) : Optional.empty();
        return new ModelLayout(
                List.copyOf(layout.linears),
                layout.norms,
                Optional.of(
                        new ModelLayout.Embedding(
                                LlamaWeights.EMBEDDING,
                                config.vocabSize(),
                                config.hiddenSize(),
                                tiedTo)),
                Optional.of(
                        new ModelLayout.Attention(
                                config.numHiddenLayers(),
                                config.numKeyValueHeads(),
                                config.headDim())));
    }

    /**
     * Reads the layout of the model in a folder. The weights' descriptions are held against the
     * configuration; no weight is read, so that this takes little memory however large the model
     * is.
     *
     * @param directory a folder in Hugging Face layout
     * @return the layout
     * @throws LoraConfigurationException if a file is missing or not what it must be, or the
     *     weights are not those of the configuration's model
     */
    public static ModelLayout read(Path directory) {
        LlamaConfig config = LlamaConfig.read(directory);
        LlamaWeights.check(directory, config);
        return of(config);
    }

    /**
     * Returns which layers without a bias could have one.
     *
     * @param config the model's configuration
     * @return for each such layer the field of {@code config.json} that gives biases to it and to
     *     others
     */
    public static Map<String, String> biasFields(LlamaConfig config) {
        String type = config.modelType();
        boolean attention =
                ("llama".equals(type) || "qwen3".equals(type)) && !config.queryKeyValueBias();
        boolean mlp = "llama".equals(type) && !config.mlpBias();
        Map<String, String> fields = new LinkedHashMap<>();
        for (LoraModule linear : new LlamaLayout(config).linears) {
            if (attention && linear.name().contains(".self_attn.")) {
                fields.put(linear.name(), "attention_bias");
            } else if (mlp && linear.name().contains(".mlp.")) {
                fields.put(linear.name(), "mlp_bias");
            }
        }
        return fields;
    }

    private void addLayer(String prefix, int hidden) {
        int queries = config.numAttentionHeads() * config.headDim();
        int keys = config.numKeyValueHeads() * config.headDim();
        String attention = prefix + "self_attn.";
        norms.put(prefix + "input_layernorm", hidden);
        addLinear(attention + "q_proj", hidden, queries);
        addLinear(attention + "k_proj", hidden, keys);
        addLinear(attention + "v_proj", hidden, keys);
        addLinear(attention + "o_proj", queries, hidden);
        if (config.queryKeyNorm()) {
            norms.put(attention + "q_norm", config.headDim());
            norms.put(attention + "k_norm", config.headDim());
        }
        norms.put(prefix + "post_attention_layernorm", hidden);
        int inner = config.intermediateSize();
        addLinear(prefix + "mlp.gate_proj", hidden, inner);
        addLinear(prefix + "mlp.up_proj", hidden, inner);
        addLinear(prefix + "mlp.down_proj", inner, hidden);
    }

    private void addLinear(String name, int in, int out) {
        linears.add(new LoraModule(linears.size(), name, in, out));
    }
}
