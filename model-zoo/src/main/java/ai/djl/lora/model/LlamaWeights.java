/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * The weights of a model's folder, each handed out as the block that holds it.
 *
 * <p>Where type and alignment allow, arrays lie over the mapped files. A folder is taken only if it
 * holds every tensor of the model, in the right shape, and nothing that the model has no use for.
 */
final class LlamaWeights implements AutoCloseable {

    static final String EMBEDDING = "model.embed_tokens";
    static final String FINAL_NORM = "model.norm";
    static final String OUTPUT = "lm_head";

    private static final int NAMES_IN_MESSAGE = 5;

    private final LlamaConfig config;
    private final LoraContext context;
    private final SafetensorsFolder folder;
    private final Map<String, long[]> shapes;

    private LlamaWeights(
            LlamaConfig config,
            LoraContext context,
            SafetensorsFolder folder,
            Map<String, long[]> shapes) {
        this.config = config;
        this.context = context;
        this.folder = folder;
        this.shapes = shapes;
    }

    /** Returns what all of the model's weights take in its type. */
    long bytes() {
        long elements = 0;
        for (long[] shape : shapes.values()) {
            elements += LongStream.of(shape).reduce(1, Math::multiplyExact);
        }
        return elements * context.getType().bytes();
    }

    /**
     * Opens the weights in a folder and checks that they are those of the model.
     *
     * @param directory the folder
     * @param config the model's configuration
     * @param context the model's context
     * @return the weights, to be closed by the caller; arrays stay valid
     * @throws LoraConfigurationException if they are not
     */
    static LlamaWeights open(Path directory, LlamaConfig config, LoraContext context) {
        SafetensorsFolder folder = SafetensorsFolder.open(directory);
        boolean checked = false;
        try {
            Map<String, long[]> shapes = expectedShapes(config);
            check(directory, folder, config, shapes);
            checked = true;
            return new LlamaWeights(config, context, folder, shapes);
        } finally {
            if (!checked) {
                folder.close();
            }
        }
    }

    /**
     * Returns the type in which a folder's weights are stored, that of the embedding.
     *
     * @param directory the folder
     * @return the type
     * @throws LoraConfigurationException if there are no weights, or they are of no such type
     */
    static ElementType storedType(Path directory) {
        try (SafetensorsFolder folder = SafetensorsFolder.open(directory)) {
            return elementType(folder, EMBEDDING + ".weight");
        }
    }

    /**
     * Checks that the weights in a folder are those of a model, without reading them.
     *
     * @param directory the folder
     * @param config the model's configuration
     * @throws LoraConfigurationException if they are not
     */
    static void check(Path directory, LlamaConfig config) {
        try (SafetensorsFolder folder = SafetensorsFolder.open(directory)) {
            check(directory, folder, config, expectedShapes(config));
        }
    }

    LoraLinear linear(String name) {
        String bias = name + ".bias";
        return new LoraLinear(
                context,
                name,
                array(name + ".weight"),
                shapes.containsKey(bias) ? array(bias) : null);
    }

    RmsNorm norm(String name) {
        return new RmsNorm(context, name, array(name + ".weight"), config.rmsNormEps());
    }

    NDArray array(String name) {
        TensorInfo tensor = folder.tensor(name);
        return context.getOps()
                .fromBuffer(
                        context.getManager(),
                        folder.map(name),
                        elementType(folder, name),
                        context.getType(),
                        new Shape(tensor.shape()));
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        folder.close();
    }

    private static ElementType elementType(SafetensorsFolder folder, String name) {
        TensorInfo tensor = folder.tensor(name);
        return tensor.type()
                .elementType()
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        folder.fileOf(name)
                                                + ": tensor "
                                                + name
                                                + " is of type "
                                                + tensor.type()
                                                + "; expected F32, F16 or BF16"));
    }

    private static void check(
            Path directory,
            SafetensorsFolder folder,
            LlamaConfig config,
            Map<String, long[]> expected) {
        refuse(
                directory + ": these tensors of the model are missing",
                expected.keySet().stream().filter(name -> !folder.names().contains(name)));
        refuse(
                directory + ": a " + config.modelType() + " model has no use for these tensors",
                folder.names().stream()
                        .filter(name -> !expected.containsKey(name) && !isHarmless(name, config)));
        for (Map.Entry<String, long[]> entry : expected.entrySet()) {
            String name = entry.getKey();
            long[] shape = folder.tensor(name).shape();
            if (!Arrays.equals(shape, entry.getValue())) {
                throw new LoraConfigurationException(
                        folder.fileOf(name)
                                + ": tensor "
                                + name
                                + " has shape "
                                + Arrays.toString(shape)
                                + "; expected "
                                + Arrays.toString(entry.getValue())
                                + " by config.json");
            }
            elementType(folder, name);
        }
    }

    private static void refuse(String message, Stream<String> names) {
        List<String> all = names.sorted().map(Message::quote).collect(Collectors.toList());
        if (!all.isEmpty()) {
            String first = all.stream().limit(NAMES_IN_MESSAGE).collect(Collectors.joining(", "));
            int more = all.size() - NAMES_IN_MESSAGE;
            throw new LoraConfigurationException(
                    message + ": " + first + (more > 0 ? " and " + more + " more" : ""));
        }
    }

    /* What transformers too leaves aside when it finds it in a checkpoint of such a model. */
    private static boolean isHarmless(String name, LlamaConfig config) {
        // a buffer of older checkpoints; the frequencies follow from config.json
        if (name.matches("model\\.(layers\\.\\d+\\.self_attn\\.)?rotary_emb\\.inv_freq")) {
            return true;
        }
        // a second copy of the embedding, which transformers overwrites when it ties the two
        return config.tieWordEmbeddings() && name.equals(OUTPUT + ".weight");
    }

    private static Map<String, long[]> expectedShapes(LlamaConfig config) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        int hidden = config.hiddenSize();
        int dim = config.headDim();
        int queries = config.numAttentionHeads() * dim;
        int keys = config.numKeyValueHeads() * dim;
        shapes.put(EMBEDDING + ".weight", new long[] {config.vocabSize(), hidden});
        for (int layer = 0; layer < config.numHiddenLayers(); ++layer) {
            String prefix = "model.layers." + layer + '.';
            String attention = prefix + "self_attn.";
            putLinear(shapes, attention + "q_proj", hidden, queries, config.queryKeyValueBias());
            putLinear(shapes, attention + "k_proj", hidden, keys, config.queryKeyValueBias());
            putLinear(shapes, attention + "v_proj", hidden, keys, config.queryKeyValueBias());
            putLinear(shapes, attention + "o_proj", queries, hidden, config.outputBias());
            if (config.queryKeyNorm()) {
                shapes.put(attention + "q_norm.weight", new long[] {dim});
                shapes.put(attention + "k_norm.weight", new long[] {dim});
            }
            int inner = config.intermediateSize();
            putLinear(shapes, prefix + "mlp.gate_proj", hidden, inner, config.mlpBias());
            putLinear(shapes, prefix + "mlp.up_proj", hidden, inner, config.mlpBias());
            putLinear(shapes, prefix + "mlp.down_proj", inner, hidden, config.mlpBias());
            shapes.put(prefix + "input_layernorm.weight", new long[] {hidden});
            shapes.put(prefix + "post_attention_layernorm.weight", new long[] {hidden});
        }
        shapes.put(FINAL_NORM + ".weight", new long[] {hidden});
        if (!config.tieWordEmbeddings()) {
            shapes.put(OUTPUT + ".weight", new long[] {config.vocabSize(), hidden});
        }
        return shapes;
    }

    /**
     * Returns the shapes of the linear layers' weights in a decoder layer: queries, keys, values,
     * output, gate, up and down.
     */
    static List<Shape> layerShapes(LlamaConfig config) {
        long hidden = config.hiddenSize();
        long queries = (long) config.numAttentionHeads() * config.headDim();
        long keys = (long) config.numKeyValueHeads() * config.headDim();
        long inner = config.intermediateSize();
        return List.of(
                new Shape(queries, hidden),
                new Shape(keys, hidden),
                new Shape(keys, hidden),
                new Shape(hidden, queries),
                new Shape(inner, hidden),
                new Shape(inner, hidden),
                new Shape(hidden, inner));
    }

    private static void putLinear(
            Map<String, long[]> shapes, String name, int in, int out, boolean bias) {
        shapes.put(name + ".weight", new long[] {out, in});
        if (bias) {
            shapes.put(name + ".bias", new long[] {out});
        }
    }
}
