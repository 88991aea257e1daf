/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Makes what an adapter changes beside the operator's part into arrays of the model's type. */
final class ExtrasLoader {

    private final LoraContext context;
    private final NDManager manager;

    private ExtrasLoader(LoraContext context, NDManager manager) {
        this.context = context;
        this.manager = manager;
    }

    /**
     * Makes the extras of an adapter.
     *
     * @param context the model's context
     * @param changes what the adapter changes
     * @return the extras, owned by the caller; empty where the operator's part is all
     */
    static Optional<AdapterExtras> load(LoraContext context, AdapterChanges changes) {
        NDManager manager = context.getManager().newSubManager();
        boolean kept = false;
        try {
            AdapterExtras extras = new ExtrasLoader(context, manager).load(changes);
            kept = !extras.isEmpty();
            return kept ? Optional.of(extras) : Optional.empty();
        } finally {
            if (!kept) {
                manager.close();
            }
        }
    }

    private AdapterExtras load(AdapterChanges changes) {
        AdapterExtras.Builder extras = AdapterExtras.builder(manager);
        for (LoraModule module : context.getModules()) {
            LinearChange change = changes.linears().get(module.name());
            if (change != null && change.inputScale() != null) {
                extras.addInputScale(module.index(), array(change.inputScale()));
            }
            if (change != null && change.weight() != null) {
                extras.addWeight(module.index(), array(change.weight()));
            }
        }
        changes.norms().forEach((norm, weight) -> extras.addNorm(norm, array(weight)));
        changes.embedding().map(this::embedding).ifPresent(extras::optEmbedding);
        changes.prompt().map(this::array).ifPresent(extras::optPrompt);
        changes.prefix().map(this::prefix).ifPresent(extras::optPrefix);
        return extras.optInvocationTokens(changes.invocationTokens()).build();
    }

    private AdapterExtras.Embedding embedding(EmbeddingChange change) {
        LoraWeights product = change.product();
        return new AdapterExtras.Embedding(
                product == null ? null : array(transposed(product.a())),
                product == null ? null : array(scaled(product.b(), product.scale())),
                change.tokens(),
                change.rows() == null ? null : array(change.rows()),
                change.weight() == null ? null : array(change.weight()));
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
            arrays.add(array(HostTensor.of(rows, tokens, shape[2], shape[3])));
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

    private NDArray array(HostTensor tensor) {
        ByteBuffer data = ByteBuffer.allocateDirect(tensor.data().length);
        data.put(tensor.data()).flip();
        return context.getOps()
                .fromBuffer(
                        manager, data, tensor.type(), context.getType(), new Shape(tensor.shape()));
    }
}
