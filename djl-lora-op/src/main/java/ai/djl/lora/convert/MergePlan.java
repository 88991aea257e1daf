/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Says of what each tensor of a merged checkpoint is made, and in which file it lies. */
final class MergePlan {

    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";
    private static final String TIED = "tie_word_embeddings";

    private final SafetensorsFolder weights;
    private final String adapterName;
    private final AdapterChanges changes;
    private final Optional<ElementType> type;
    private final Map<String, LoraModule> linears = new LinkedHashMap<>();
    private final Map<String, MergedTensor> tensors = new LinkedHashMap<>();
    private final Map<String, String> fileOf = new LinkedHashMap<>();
    private final Map<String, Boolean> flags = new TreeMap<>();

    /**
     * Constructs a new {@code MergePlan} instance.
     *
     * @param weights the base's weights
     * @param layout what of the base adapters may change
     * @param biasFields for layers that could have a bias the field that gives them one
     * @param adapter the adapter
     * @param type the type to write, empty for the base's
     */
    MergePlan(
            SafetensorsFolder weights,
            ModelLayout layout,
            Map<String, String> biasFields,
            LoraAdapter adapter,
            Optional<ElementType> type) {
        this.weights = weights;
        adapterName = Message.oneLine(adapter.source().toString());
        this.changes = adapter.changes();
        this.type = type;
        layout.linears().forEach(linear -> linears.put(linear.name(), linear));
        for (String name : weights.names()) {
            TensorInfo tensor = weights.tensor(name);
            put(MergedTensor.of(tensor, typeOf(tensor), RowEdit.NONE), name);
        }
        String tiedTo = layout.embedding().flatMap(ModelLayout.Embedding::tiedTo).orElse("");
        layout.embedding().ifPresent(this::mergeEmbedding);
        changes.linears()
                .forEach(
                        (module, change) -> {
                            if (!module.equals(tiedTo)) {
                                mergeWeight(module, change);
                            }
                            mergeBias(module, change, biasFields);
                        });
        changes.norms().forEach((norm, weight) -> replace(norm + WEIGHT, weight, RowEdit.NONE));
    }

    /** Returns the tensors of each file, by the file's name. */
    Map<String, List<MergedTensor>> files() {
        Map<String, List<MergedTensor>> files = new TreeMap<>();
        tensors.forEach(
                (name, tensor) ->
                        files.computeIfAbsent(fileOf.get(name), file -> new ArrayList<>())
                                .add(tensor));
        return files;
    }

    /** Returns the fields of config.json that the merged weights need to have these values. */
    Map<String, Boolean> flags() {
        return Collections.unmodifiableMap(flags);
    }

    private void mergeWeight(String module, LinearChange change) {
        LinearMerge edit = new LinearMerge(change);
        if (change.weight() == null) {
            edit(base(module + WEIGHT, shapeOf(module)), edit);
        } else {
            replace(module + WEIGHT, change.weight(), edit);
        }
    }

    private void mergeBias(String module, LinearChange change, Map<String, String> biasFields) {
        String name = module + BIAS;
        boolean there = weights.names().contains(name);
        float[] own = there ? floats(name) : null;
        float[] merged = LinearMerge.bias(change, own);
        if (merged == null || Arrays.equals(merged, own)) {
            return;
        }
        if (!there) {
            String field = biasFields.get(module);
            if (field == null) {
                throw new LoraVariantException(
                        adapterName
                                + ": the adapter gives module "
                                + Message.quote(module)
                                + " a bias, which this model's architecture has not, so that it"
                                + " cannot be merged into weights");
            }
            addBiases(field, biasFields);
        }
        MergedTensor before = tensors.get(name);
        HostTensor values = HostTensor.of(merged, merged.length);
        put(MergedTensor.of(name, values, before.type(), RowEdit.NONE), module + WEIGHT);
    }

    /** Gives biases of zero to all layers that a field gives biases to. */
    private void addBiases(String field, Map<String, String> biasFields) {
        if (flags.put(field, true) != null) {
            return;
        }
        biasFields.forEach(
                (module, other) -> {
                    if (other.equals(field)) {
                        int out = linears.get(module).outFeatures();
                        MergedTensor weight = tensors.get(module + WEIGHT);
                        HostTensor zeros = HostTensor.of(new float[out], out);
                        put(
                                MergedTensor.of(module + BIAS, zeros, weight.type(), RowEdit.NONE),
                                module + WEIGHT);
                    }
                });
    }

    private void mergeEmbedding(ModelLayout.Embedding embedding) {
        EmbeddingChange change =
                changes.embedding().orElse(new EmbeddingChange(null, new int[0], null, null));
        TensorInfo table =
                base(
                        embedding.name() + WEIGHT,
                        new long[] {embedding.vocabulary(), embedding.hidden()});
        embedding.tiedTo().ifPresent(output -> mergeTied(output, table, change));
        EmbeddingMerge edit = new EmbeddingMerge(change);
        if (change.weight() != null) {
            replace(table.name(), change.weight(), edit);
        } else if (change.product() != null || change.rows() != null) {
            edit(table, edit);
        }
    }

    /**
     * Writes the weights of an output layer that shares the embedding's, where they are no longer
     * the same; a copy of them that the base has besides, and nothing reads, is left out.
     */
    private void mergeTied(String output, TensorInfo table, EmbeddingChange change) {
        String name = output + WEIGHT;
        tensors.remove(name);
        LinearChange linear = changes.linears().get(output);
        boolean same =
                linear == null
                        ? change.product() == null && change.weight() == null
                        : change.product() == null
                                && isWeightOnly(linear)
                                && isSame(linear.weight(), change.weight());
        if (same) {
            return;
        }
        flags.put(TIED, false);
        EmbeddingMerge rows = new EmbeddingMerge(change);
        RowEdit ofLayer = linear == null ? RowEdit.NONE : new LinearMerge(linear);
        boolean replaced = linear != null && linear.weight() != null;
        RowEdit edit =
                (row, values) -> {
                    // the embedding's replaced rows count here as well, its product does not
                    if (!replaced) {
                        rows.replace(row, values);
                    }
                    ofLayer.apply(row, values);
                };
        SafetensorsType stored = typeOf(table);
        MergedTensor tensor =
                replaced
                        ? MergedTensor.of(name, linear.weight(), stored, edit)
                        : new MergedTensor(name, table.shape(), stored, table, null, edit);
        put(tensor, table.name());
    }

    private static boolean isWeightOnly(LinearChange change) {
        return change.weight() != null
                && change.product() == null
                && change.magnitude() == null
                && change.outputScale() == null
                && change.inputScale() == null;
    }

    private static boolean isSame(HostTensor one, HostTensor other) {
        return other != null
                && one.type() == other.type()
                && Arrays.equals(one.data(), other.data());
    }

    private void edit(TensorInfo tensor, RowEdit edit) {
        put(MergedTensor.of(tensor, typeOf(tensor), edit), tensor.name());
    }

    private void replace(String name, HostTensor values, RowEdit edit) {
        TensorInfo tensor = base(name, values.shape());
        put(MergedTensor.of(name, values, typeOf(tensor), edit), name);
    }

    /** Adds a tensor, into the file in which another of the base's lies. */
    private void put(MergedTensor tensor, String beside) {
        tensors.put(tensor.name(), tensor);
        fileOf.put(tensor.name(), String.valueOf(weights.fileOf(beside).getFileName()));
    }

    private TensorInfo base(String name, long[] shape) {
        TensorInfo tensor = weights.tensor(name);
        String file = Message.oneLine(weights.fileOf(name).toString());
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new LoraCompatibilityException(
                    file
                            + ": tensor "
                            + Message.quote(name)
                            + " has the shape "
                            + Arrays.toString(tensor.shape())
                            + ", the adapter was loaded for "
                            + Arrays.toString(shape));
        }
        if (tensor.type().elementType().isEmpty()) {
            throw new LoraConfigurationException(
                    file
                            + ": tensor "
                            + Message.quote(name)
                            + " is of type "
                            + tensor.type()
                            + "; expected F32, F16 or BF16");
        }
        return tensor;
    }

    private long[] shapeOf(String module) {
        LoraModule linear = linears.get(module);
        if (linear == null) {
            throw new LoraCompatibilityException(
                    adapterName
                            + ": the adapter changes module "
                            + Message.quote(module)
                            + ", which the model does not have");
        }
        return new long[] {linear.outFeatures(), linear.inFeatures()};
    }

    private float[] floats(String name) {
        TensorInfo tensor = weights.tensor(name);
        ElementType stored = tensor.type().elementType().orElseThrow();
        return new HostTensor(stored, tensor.shape(), weights.read(name)).toFloats();
    }

    private SafetensorsType typeOf(TensorInfo tensor) {
        if (type.isEmpty() || tensor.type().elementType().isEmpty()) {
            return tensor.type();
        }
        return SafetensorsType.ofName(type.get().safetensorsName()).orElseThrow();
    }
}
