/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The configuration of a Llama, Mistral, Qwen2 or Qwen3 model, as {@code config.json} and {@code
 * generation_config.json} of a Hugging Face folder give it.
 *
 * <p>Fields that are not there have the defaults of Hugging Face transformers 4.57; sizes that have
 * no sensible default must be there. What the architecture cannot do is refused by name.
 *
 * @param modelType {@code llama}, {@code mistral}, {@code qwen2} or {@code qwen3}
 * @param vocabSize the number of tokens that the model knows
 * @param hiddenSize the size of the hidden state
 * @param intermediateSize the size between the feed-forward layers
 * @param numHiddenLayers the number of decoder layers
 * @param numAttentionHeads the number of query heads
 * @param numKeyValueHeads the number of key and value heads, a divisor of the query heads
 * @param headDim the size of a head, even
 * @param maxPositionEmbeddings the most tokens that a sequence may have
 * @param rmsNormEps what is added to the mean square when normalising
 * @param ropeTheta the base of the rotary position embedding's frequencies
 * @param ropeScaling the scaling of these frequencies
 * @param tieWordEmbeddings whether the embedding is the output layer too
 * @param queryKeyValueBias whether the query, key and value projections have biases
 * @param outputBias whether the attention's output projection has a bias
 * @param mlpBias whether the feed-forward projections have biases
 * @param queryKeyNorm whether queries and keys are normalised head by head
 * @param slidingWindows for each layer the number of newest tokens that a token may see, itself
 *     among them; 0 for all of them
 * @param storedType the element type that the configuration names, if it names one of ours
 * @param bosTokenId the token that begins a text, if there is one
 * @param eosTokenIds the tokens that end a text, of which there may be none
 */
public record LlamaConfig(
        String modelType,
        int vocabSize,
        int hiddenSize,
        int intermediateSize,
        int numHiddenLayers,
        int numAttentionHeads,
        int numKeyValueHeads,
        int headDim,
        int maxPositionEmbeddings,
        double rmsNormEps,
        double ropeTheta,
        RopeScaling ropeScaling,
        boolean tieWordEmbeddings,
        boolean queryKeyValueBias,
        boolean outputBias,
        boolean mlpBias,
        boolean queryKeyNorm,
        List<Integer> slidingWindows,
        Optional<ElementType> storedType,
        OptionalInt bosTokenId,
        Set<Integer> eosTokenIds) {

    /** The model types that can be loaded. */
    public static final List<String> MODEL_TYPES = List.of("llama", "mistral", "qwen2", "qwen3");

    private static final String CONFIG = "config.json";
    private static final String GENERATION_CONFIG = "generation_config.json";
    private static final int MAX_LAYERS = 10_000;
    private static final double DEFAULT_THETA = 10000;

    /**
     * Reads the configuration in a model's folder.
     *
     * @param directory the folder
     * @return the configuration
     * @throws LoraConfigurationException if a file is missing or cannot be read, a field is not
     *     what it must be, or the model needs something that is not supported
     */
    public static LlamaConfig read(Path directory) {
        Path file = directory.resolve(CONFIG);
        if (!Files.isRegularFile(file)) {
            throw new LoraConfigurationException(
                    file + ": no such file; expected the folder of a Hugging Face model");
        }
        JsonFields config = JsonFields.read(file);
        String modelType = config.string("model_type");
        if (!MODEL_TYPES.contains(modelType)) {
            throw config.wrong("model_type", "one of " + String.join(", ", MODEL_TYPES));
        }
        refuseUnsupported(config, modelType);

        int vocabSize = config.integer("vocab_size", 1);
        int hiddenSize = config.integer("hidden_size", 1);
        int layers = config.integer("num_hidden_layers", 1);
        if (layers > MAX_LAYERS) {
            throw config.wrong("num_hidden_layers", "at most " + MAX_LAYERS);
        }
        int heads = config.integer("num_attention_heads", 1);
        int headDim = headDim(config, modelType, hiddenSize, heads);
        if ((long) heads * headDim > Integer.MAX_VALUE) {
            throw config.wrong("num_attention_heads", "at most 2^31 - 1 when times head_dim");
        }
        int maxPositions = config.integer("max_position_embeddings", 1);
        boolean qwen2 = "qwen2".equals(modelType);
        boolean attentionBias =
                qwen2 || takesAttentionBias(modelType) && config.flag("attention_bias", false);
        return new LlamaConfig(
                modelType,
                vocabSize,
                hiddenSize,
                config.integer("intermediate_size", 1),
                layers,
                heads,
                keyValueHeads(config, modelType, heads),
                headDim,
                maxPositions,
                config.number("rms_norm_eps", 0, 1e-6),
                ropeTheta(config),
                ropeScaling(config),
                config.flag("tie_word_embeddings", false),
                attentionBias,
                attentionBias && !qwen2,
                "llama".equals(modelType) && config.flag("mlp_bias", false),
                "qwen3".equals(modelType),
                slidingWindows(config, modelType, layers),
                storedType(config),
                bosTokenId(config, modelType, vocabSize),
                eosTokenIds(directory, config, modelType, vocabSize));
    }

    private static void refuseUnsupported(JsonFields config, String modelType) {
        if (config.has("quantization_config")) {
            throw config.wrong(
                    "quantization_config",
                    "no such field: quantized checkpoints are not supported");
        }
        if (config.has("hidden_act") && !"silu".equals(config.string("hidden_act"))) {
            throw config.wrong("hidden_act", "\"silu\", the only activation that is supported");
        }
        if (config.has("partial_rotary_factor") && config.number("partial_rotary_factor", 0) != 1) {
            throw config.wrong("partial_rotary_factor", "1: rotating a part is not supported");
        }
        // transformers' Mistral, and the MLPs of the others, have no biases whatever these say
        if (!takesAttentionBias(modelType)
                && !"qwen2".equals(modelType)
                && config.flag("attention_bias", false)) {
            throw config.wrong("attention_bias", "false for model type " + modelType);
        }
        if (!"llama".equals(modelType) && config.flag("mlp_bias", false)) {
            throw config.wrong("mlp_bias", "false for model type " + modelType);
        }
    }

    private static boolean takesAttentionBias(String modelType) {
        return "llama".equals(modelType) || "qwen3".equals(modelType);
    }

    private static int keyValueHeads(JsonFields config, String modelType, int heads) {
        boolean defaultsToHeads =
                "llama".equals(modelType)
                        || config.mentions("num_key_value_heads")
                                && !config.has("num_key_value_heads");
        // the other types' defaults in transformers are those of one large model
        int keyHeads =
                defaultsToHeads
                        ? config.integer("num_key_value_heads", 1, heads)
                        : config.integer("num_key_value_heads", 1);
        if (heads % keyHeads != 0) {
            throw config.wrong(
                    "num_key_value_heads", "a divisor of num_attention_heads, which is " + heads);
        }
        return keyHeads;
    }

    private static int headDim(JsonFields config, String modelType, int hiddenSize, int heads) {
        if (config.has("head_dim")) {
            int dim = config.integer("head_dim", 2);
            if (dim % 2 != 0) {
                throw config.wrong("head_dim", "an even number");
            }
            return dim;
        }
        if ("qwen3".equals(modelType) && !config.mentions("head_dim")) {
            return 128;
        }
        if (hiddenSize % heads != 0 || hiddenSize / heads % 2 != 0) {
            throw config.wrong(
                    "hidden_size",
                    "an even multiple of num_attention_heads, which is "
                            + heads
                            + ", where head_dim is not given");
        }
        return hiddenSize / heads;
    }

    /* Version 5 of transformers keeps the base and the scaling together in rope_parameters. */
    private static double ropeTheta(JsonFields config) {
        double theta = config.number("rope_theta", 0, DEFAULT_THETA);
        if (!config.has("rope_parameters")) {
            return theta;
        }
        JsonFields parameters = config.child("rope_parameters");
        if (!parameters.has("rope_theta")) {
            return theta;
        }
        double inner = parameters.number("rope_theta", 0);
        if (config.has("rope_theta") && inner != theta) {
            throw parameters.wrong("rope_theta", "the value of the field rope_theta, " + theta);
        }
        return inner;
    }

    private static RopeScaling ropeScaling(JsonFields config) {
        boolean older = config.has("rope_scaling");
        boolean newer = config.has("rope_parameters");
        if (older && newer) {
            throw config.wrong("rope_scaling", "null, since rope_parameters is there too");
        }
        if (!older && !newer) {
            return new RopeScaling.Unscaled();
        }
        String name = older ? "rope_scaling" : "rope_parameters";
        JsonFields fields = config.child(name);
        if (fields.holdsObjects()) {
            throw config.wrong(name, "one set of parameters for all layers");
        }
        // the field was called "type" at first; transformers lets that win where both are there
        String typeField = fields.has("type") ? "type" : "rope_type";
        String type = newer && !fields.has(typeField) ? "default" : fields.string(typeField);
        if (fields.has("partial_rotary_factor") && fields.number("partial_rotary_factor", 0) != 1) {
            throw fields.wrong("partial_rotary_factor", "1: rotating a part is not supported");
        }
        return switch (type) {
            case "default" -> new RopeScaling.Unscaled();
            case "linear" -> new RopeScaling.Linear((float) fields.number("factor", 0));
            case "llama3" -> llama3(fields);
            default ->
                    throw fields.wrong(
                            typeField, "one of default, linear, llama3, which are supported");
        };
    }

    private static RopeScaling llama3(JsonFields fields) {
        double low = fields.number("low_freq_factor", 0);
        double high = fields.number("high_freq_factor", 0);
        if (high <= low) {
            throw fields.wrong("high_freq_factor", "more than low_freq_factor, which is " + low);
        }
        return new RopeScaling.Llama3(
                (float) fields.number("factor", 0),
                (float) low,
                (float) high,
                fields.integer("original_max_position_embeddings", 1));
    }

    private static List<Integer> slidingWindows(JsonFields config, String modelType, int layers) {
        return switch (modelType) {
            case "llama" -> {
                // transformers' Llama has no sliding window, whatever such a field says
                if (config.has("sliding_window")) {
                    throw config.wrong("sliding_window", "null for model type llama");
                }
                yield Collections.nCopies(layers, 0);
            }
            case "mistral" -> {
                if (config.has("layer_types")) {
                    throw config.wrong("layer_types", "no such field for model type mistral");
                }
                // absent is not null: the default is that of Mistral 7B
                int window =
                        config.mentions("sliding_window") && !config.has("sliding_window")
                                ? 0
                                : config.integer("sliding_window", 1, 4096);
                yield Collections.nCopies(layers, window);
            }
            default -> qwenWindows(config, layers);
        };
    }

    private static List<Integer> qwenWindows(JsonFields config, int layers) {
        boolean used = config.flag("use_sliding_window", false);
        int window = 0;
        if (used && (config.has("sliding_window") || !config.mentions("sliding_window"))) {
            window = config.integer("sliding_window", 1, 4096);
        }
        String[] types = config.has("layer_types") ? config.strings("layer_types") : null;
        if (types != null && types.length != layers) {
            throw config.wrong("layer_types", layers + " entries, one for each layer");
        }
        int fullLayers = config.integer("max_window_layers", 0, 28);
        List<Integer> windows = new ArrayList<>(layers);
        for (int i = 0; i < layers; ++i) {
            if (types == null) {
                windows.add(i >= fullLayers ? window : 0);
            } else if ("full_attention".equals(types[i])) {
                windows.add(0);
            } else if ("sliding_attention".equals(types[i]) && window > 0) {
                windows.add(window);
            } else {
                throw config.wrong(
                        "layer_types",
                        "full_attention"
                                + (window > 0
                                        ? " or sliding_attention"
                                        : " alone, since sliding_window is not in use"));
            }
        }
        return Collections.unmodifiableList(windows);
    }

    private static Optional<ElementType> storedType(JsonFields config) {
        String name = config.has("dtype") ? "dtype" : "torch_dtype";
        if (!config.has(name)) {
            return Optional.empty();
        }
        String label = config.string(name);
        for (ElementType type : ElementType.values()) {
            if (type.label().equals(label)) {
                return Optional.of(type);
            }
        }
        throw config.wrong(name, "one of float32, float16, bfloat16");
    }

    private static OptionalInt bosTokenId(JsonFields config, String modelType, int vocabSize) {
        if (!config.mentions("bos_token_id") && hasDefaultTokens(modelType)) {
            return OptionalInt.of(1);
        }
        return config.tokenId("bos_token_id", vocabSize);
    }

    private static Set<Integer> eosTokenIds(
            Path directory, JsonFields config, String modelType, int vocabSize) {
        Path file = directory.resolve(GENERATION_CONFIG);
        if (Files.exists(file)) {
            JsonFields generation = JsonFields.read(file);
            if (generation.has("eos_token_id")) {
                return ids(generation, vocabSize);
            }
        }
        if (!config.mentions("eos_token_id") && hasDefaultTokens(modelType)) {
            return Set.of(2);
        }
        return ids(config, vocabSize);
    }

    private static Set<Integer> ids(JsonFields fields, int vocabSize) {
        return Collections.unmodifiableSet(
                new LinkedHashSet<>(fields.tokenIds("eos_token_id", vocabSize)));
    }

    private static boolean hasDefaultTokens(String modelType) {
        return "llama".equals(modelType) || "mistral".equals(modelType);
    }
}
