/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Makes what an adapter changes beside the operator's part into arrays of the model's type. */
final class ExtrasLoader {

    private static final String EMBEDDING = "the embedding";

    private final LoraContext context;
    private final AdapterChanges changes;
    private final NDManager manager;
    private final ModelTensors tensors;
    private final AdapterExtras.Builder extras;

    private ExtrasLoader(
            LoraContext context, String source, AdapterChanges changes, NDManager manager) {
        this.context = context;
        this.changes = changes;
        this.manager = manager;
        this.tensors = new ModelTensors(context, source);
        this.extras = AdapterExtras.builder(manager);
    }

    /**
     * Makes the extras of an adapter.
     *
     * @param context the model's context
     * @param source where the adapter came from, for messages
     * @param changes what the adapter changes
     * @return the extras, owned by the caller; empty where the operator's part is all
     * @throws LoraCompatibilityException if a finite weight is infinite in the model's type
     */
    static Optional<AdapterExtras> load(LoraContext context, Path source, AdapterChanges changes) {
        NDManager manager = context.getManager().newSubManager();
        boolean kept = false;
        try {
            AdapterExtras extras = new ExtrasLoader(context, name(source), changes, manager).load();
            kept = !extras.isEmpty();
            return kept ? Optional.of(extras) : Optional.empty();
        } finally {
            if (!kept) {
                manager.close();
            }
        }
    }

    /**
     * Checks that an adapter that acts from its invocation tokens on changes nothing that rows
     * before these would see, as PEFT's other changes would.
     *
     * @param context the model's context
     * @param adapter the adapter
     * @throws LoraVariantException if it changes more than a sum with linear layers' outputs
     * @throws LoraCompatibilityException if the model cannot tell where an activated adapter acts
     */
    static void checkActivation(LoraContext context, LoraAdapter adapter) {
        AdapterChanges changes = adapter.changes();
        if (changes.invocationTokens().length == 0) {
            return;
        }
        boolean sum =
                changes.norms().isEmpty()
                        && changes.embedding().isEmpty()
                        && changes.prompt().isEmpty()
                        && changes.prefix().isEmpty()
                        && changes.linears().values().stream().allMatch(ExtrasLoader::isSum);
        if (!sum) {
            throw new LoraVariantException(
                    name(adapter.source())
                            + ": the adapter is "
                            + changes.variants()
                            + "; one with invocation tokens may only add to the outputs of linear"
                            + " layers");
        }
        if (context.getLayout().attention().isEmpty()) {
            throw new LoraCompatibilityException(
                    name(adapter.source())
                            + ": the adapter acts from its invocation tokens on, which this model"
                            + " does not look for");
        }
    }

    private AdapterExtras load() {
        for (LoraModule module : context.getModules()) {
            LinearChange change = changes.linears().get(module.name());
            if (change != null && change.inputScale() != null) {
                extras.addInputScale(module.index(), array(change.inputScale(), module.name()));
            }
            if (change != null && isOther(change.weight(), module)) {
                extras.addWeight(module.index(), array(change.weight(), module.name()));
            }
        }
        changes.norms().forEach((norm, weight) -> extras.addNorm(norm, array(weight, norm)));
        changes.embedding().ifPresent(this::addEmbedding);
        changes.prompt().ifPresent(prompt -> extras.optPrompt(array(prompt, "the prompt")));
        changes.prefix().ifPresent(prefix -> extras.optPrefix(prefix(prefix)));
        return extras.optInvocationTokens(changes.invocationTokens()).build();
    }

    private static boolean isSum(LinearChange change) {
        return change.magnitude() == null
                && change.outputScale() == null
                && change.inputScale() == null
                && change.bias() == null
                && change.weight() == null;
    }

    /* PEFT saves the base's own weights beside adapters of the embedding and the output layer. */
    private boolean isOther(HostTensor weight, LoraModule module) {
        Shape shape = new Shape(module.outFeatures(), module.inFeatures());
        return weight != null
                && !tensors.isEqual(
                        weight,
                        shape,
                        context.getManager(),
                        (rows, from, to) -> context.baseRows(rows, module.index(), from, to));
    }

    private boolean isOtherEmbedding(HostTensor weight) {
        NDArray table = context.getEmbeddingTable();
        return weight != null
                && !tensors.isEqual(
                        weight,
                        table.getShape(),
                        context.getManager(),
                        (manager, from, to) -> rows(manager, table, from, to));
    }

    private NDArray rows(NDManager rowManager, NDArray array, long from, long to) {
        NDArray rows = context.getOps().rows(array, from, to);
        rows.attach(rowManager);
        return rows;
    }

    private void addEmbedding(EmbeddingChange change) {
        LoraWeights product = change.product();
        boolean other = isOtherEmbedding(change.weight());
        AdapterExtras.ReplacedRows replaced = change.rows() == null ? null : replaced(change);
        if (product != null || other || replaced != null) {
            extras.optEmbedding(
                    new AdapterExtras.Embedding(
                            product == null ? null : array(transposed(product.a()), EMBEDDING),
                            product == null
                                    ? null
                                    : array(scaled(product.b(), product.scale()), EMBEDDING),
                            replaced,
                            other ? array(change.weight(), EMBEDDING) : null));
        }
        if (replaced != null) {
            addTiedRows(replaced);
        }
    }

    /** Sorts the rows, so that neighbours can be copied together. */
    private AdapterExtras.ReplacedRows replaced(EmbeddingChange change) {
        int[] tokens = change.tokens();
        HostTensor rows = change.rows();
        int[] order =
                IntStream.range(0, tokens.length)
                        .boxed()
                        .sorted(Comparator.comparingInt(i -> tokens[i]))
                        .mapToInt(Integer::intValue)
                        .toArray();
        int bytes = rows.data().length / tokens.length;
        ByteBuffer sorted = ByteBuffer.allocate(rows.data().length);
        for (int i : order) {
            sorted.put(rows.data(), i * bytes, bytes);
        }
        return new AdapterExtras.ReplacedRows(
                IntStream.of(order).map(i -> tokens[i]).toArray(),
                array(new HostTensor(rows.type(), rows.shape(), sorted.array()), EMBEDDING));
    }

    /* An output layer with a weight of its own is not the embedding any more. */
    private void addTiedRows(AdapterExtras.ReplacedRows replaced) {
        String output =
                context.getLayout().embedding().flatMap(ModelLayout.Embedding::tiedTo).orElse(null);
        LinearChange change = changes.linears().get(output);
        if (change == null || change.weight() == null) {
            context.getModules().stream()
                    .filter(module -> module.name().equals(output))
                    .forEach(module -> extras.addWeightRows(module.index(), replaced));
        }
    }

    private List<AdapterExtras.KeysValues> prefix(HostTensor prefix) {
        long[] shape = prefix.shape();
        int tokens = Math.toIntExact(shape[0]);
        int parts = Math.toIntExact(shape[1]);
        int row = Math.toIntExact(shape[2] * shape[3]);
        float[] values = prefix.toFloats();
        List<NDArray> arrays = new ArrayList<>();
        for (int part = 0; part < parts; ++part) {
            float[] rows = new float[tokens * row];
            for (int t = 0; t < tokens; ++t) {
                System.arraycopy(values, (t * parts + part) * row, rows, t * row, row);
            }
            arrays.add(array(HostTensor.of(rows, tokens, shape[2], shape[3]), "the prefix"));
        }
        List<AdapterExtras.KeysValues> layers = new ArrayList<>();
        for (int layer = 0; layer < parts / 2; ++layer) {
            layers.add(
                    new AdapterExtras.KeysValues(arrays.get(2 * layer), arrays.get(2 * layer + 1)));
        }
        return layers;
    }

    private static HostTensor transposed(HostTensor matrix) {
        int rows = Math.toIntExact(matrix.shape()[0]);
        int columns = Math.toIntExact(matrix.shape()[1]);
        float[] values = matrix.toFloats();
        float[] result = new float[values.length];
        for (int i = 0; i < rows; ++i) {
            for (int j = 0; j < columns; ++j) {
                result[j * rows + i] = values[i * columns + j];
            }
        }
        return HostTensor.of(result, columns, rows);
    }

    private static HostTensor scaled(HostTensor tensor, float factor) {
        float[] values = tensor.toFloats();
        for (int i = 0; i < values.length; ++i) {
            values[i] *= factor;
        }
        return HostTensor.of(values, tensor.shape());
    }

    private NDArray array(HostTensor tensor, String part) {
        return tensors.array(manager, tensor, part);
    }

    private static String name(Path source) {
        return Message.oneLine(source.toString());
    }
}
