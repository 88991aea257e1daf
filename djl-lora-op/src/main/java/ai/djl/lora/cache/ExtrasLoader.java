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
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.lora.tensor.NonFinite;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Makes what an adapter changes beside the operator's part into arrays of the model's type. */
final class ExtrasLoader {

    /** How many elements are converted at a time. */
    private static final int CHUNK_ELEMENTS = 1 << 18;

    private final LoraContext context;
    private final LoraAdapter adapter;
    private final AdapterChanges changes;
    private final NDManager manager;
    private final AdapterExtras.Builder extras;

    private ExtrasLoader(LoraContext context, LoraAdapter adapter, NDManager manager) {
        this.context = context;
        this.adapter = adapter;
        this.changes = adapter.changes();
        this.manager = manager;
        this.extras = AdapterExtras.builder(manager);
    }

    /**
     * Makes the extras of an adapter.
     *
     * @param context the model's context
     * @param adapter the adapter
     * @return the extras, owned by the caller; empty where the operator's part is all
     * @throws LoraVariantException if the adapter is an activated one and changes more than a sum
     *     with linear layers' outputs
     * @throws LoraCompatibilityException if the model cannot tell where an activated adapter acts,
     *     or a finite weight is infinite in the model's type
     */
    static Optional<AdapterExtras> load(LoraContext context, LoraAdapter adapter) {
        NDManager manager = context.getManager().newSubManager();
        boolean kept = false;
        try {
            AdapterExtras extras = new ExtrasLoader(context, adapter, manager).load();
            kept = !extras.isEmpty();
            return kept ? Optional.of(extras) : Optional.empty();
        } finally {
            if (!kept) {
                manager.close();
            }
        }
    }

    private AdapterExtras load() {
        checkActivation();
        for (LoraModule module : context.getModules()) {
            LinearChange change = changes.linears().get(module.name());
            if (change != null && change.inputScale() != null) {
                extras.addInputScale(module.index(), array(change.inputScale(), module.name()));
            }
            if (change != null && change.weight() != null) {
                extras.addWeight(module.index(), array(change.weight(), module.name()));
            }
        }
        changes.norms().forEach((norm, weight) -> extras.addNorm(norm, array(weight, norm)));
        changes.embedding().ifPresent(this::addEmbedding);
        changes.prompt().ifPresent(prompt -> extras.optPrompt(array(prompt, "the prompt")));
        changes.prefix().ifPresent(prefix -> extras.optPrefix(prefix(prefix)));
        return extras.optInvocationTokens(changes.invocationTokens()).build();
    }

    /* Rows before the invocation are the base's own, which PEFT's other changes would reach. */
    private void checkActivation() {
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
                    name()
                            + ": the adapter is "
                            + changes.variants()
                            + "; one with invocation tokens may only add to the outputs of linear"
                            + " layers");
        }
        if (context.getLayout().attention().isEmpty()) {
            throw new LoraCompatibilityException(
                    name()
                            + ": the adapter acts from its invocation tokens on, which this model"
                            + " does not look for");
        }
    }

    private static boolean isSum(LinearChange change) {
        return change.magnitude() == null
                && change.outputScale() == null
                && change.inputScale() == null
                && change.bias() == null
                && change.weight() == null;
    }

    private void addEmbedding(EmbeddingChange change) {
        LoraWeights product = change.product();
        AdapterExtras.ReplacedRows replaced = change.rows() == null ? null : replaced(change);
        extras.optEmbedding(
                new AdapterExtras.Embedding(
                        product == null ? null : array(transposed(product.a()), "the embedding"),
                        product == null
                                ? null
                                : array(scaled(product.b(), product.scale()), "the embedding"),
                        replaced,
                        change.weight() == null ? null : array(change.weight(), "the embedding")));
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
                array(
                        new HostTensor(rows.type(), rows.shape(), sorted.array()),
                        "the embedding's rows"));
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

    /* In pieces: a replaced table is large, and a direct buffer outlives its array. */
    private NDArray array(HostTensor tensor, String part) {
        TensorOps ops = context.getOps();
        ElementType type = context.getType();
        Shape shape = new Shape(tensor.shape());
        NDArray array = ops.zeros(manager, shape, type);
        int rows = Math.toIntExact(shape.get(0));
        int rowElements = tensor.elements() / Math.max(1, rows);
        int step = Math.max(1, CHUNK_ELEMENTS / Math.max(1, rowElements));
        ByteBuffer staging =
                ByteBuffer.allocateDirect(
                                Math.multiplyExact(
                                        Math.min(step, rows) * rowElements, type.bytes()))
                        .order(ByteOrder.LITTLE_ENDIAN);
        for (int from = 0; from < rows; from += step) {
            int to = Math.min(rows, from + step);
            int start = from * rowElements;
            int end = to * rowElements;
            staging.clear();
            ElementConverter.convert(slice(tensor, start, end), tensor.type(), staging, type);
            staging.flip();
            // what was loaded is finite, so an infinity is what the narrower type cannot hold
            int index = NonFinite.indexOf(staging, type);
            if (index >= 0) {
                throw new LoraCompatibilityException(
                        name()
                                + ": what replaces "
                                + part
                                + " holds "
                                + tensor.toFloats()[start + index]
                                + ", which "
                                + type
                                + " cannot hold");
            }
            Shape chunk = new Shape(to - from).addAll(shape.slice(1));
            try (NDArray piece = ops.fromBuffer(manager, staging, type, type, chunk)) {
                ops.copyRows(array, from, piece);
            }
        }
        return array;
    }

    private static ByteBuffer slice(HostTensor tensor, int from, int to) {
        int bytes = tensor.type().bytes();
        return ByteBuffer.wrap(tensor.data(), from * bytes, (to - from) * bytes);
    }

    private String name() {
        return Message.oneLine(adapter.source().toString());
    }
}
