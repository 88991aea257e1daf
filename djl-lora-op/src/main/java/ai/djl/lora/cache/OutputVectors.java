/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;

/**
 * Works out what an adapter multiplies a layer's outputs with and what it adds to them, where that
 * takes the base weights: DoRA's magnitudes over the norms of W + scale B A, and biases.
 */
final class OutputVectors {

    /** How many elements of a weight are widened at a time. */
    private static final int CHUNK_ELEMENTS = 1 << 20;

    private final LoraContext context;

    OutputVectors(LoraContext context) {
        this.context = context;
    }

    /** Returns the factors of the outputs [out], or null where there are none. */
    float[] outScale(LoraModule module, LinearChange change) {
        float[] scale = change.outputScale() == null ? null : change.outputScale().toFloats();
        if (change.magnitude() == null) {
            return scale;
        }
        float[] result = magnitudeOverNorm(module, change);
        for (int i = 0; scale != null && i < result.length; ++i) {
            result[i] *= scale[i];
        }
        return result;
    }

    /** Returns what stands in place of the layer's own bias [out], or null where that stays. */
    float[] bias(LoraModule module, LinearChange change) {
        if (change.bias() == null && change.shift() == null && change.outputScale() == null) {
            return null;
        }
        float[] bias = change.bias() == null ? baseBias(module) : change.bias().toFloats();
        if (bias == null && change.shift() == null) {
            return null;
        }
        float[] result = bias == null ? new float[module.outFeatures()] : bias;
        if (change.shift() != null) {
            float[] shift = change.shift().toFloats();
            for (int i = 0; i < result.length; ++i) {
                result[i] += shift[i];
            }
        }
        if (change.outputScale() != null) {
            // IA3 scales a layer's output with its bias in it
            float[] scale = change.outputScale().toFloats();
            for (int i = 0; i < result.length; ++i) {
                result[i] *= scale[i];
            }
        }
        return result;
    }

    private float[] baseBias(LoraModule module) {
        NDArray bias = context.getBaseBias(module.index());
        if (bias == null) {
            return null;
        }
        try (NDArray wide = context.getOps().toType(bias, ElementType.FLOAT32)) {
            return wide.toFloatArray();
        }
    }

    /* A few rows of W at a time: a whole weight in float32 may be larger than the adapter. */
    private float[] magnitudeOverNorm(LoraModule module, LinearChange change) {
        float[] result = change.magnitude().toFloats();
        LoraWeights product = change.product();
        int out = module.outFeatures();
        int in = module.inFeatures();
        int rows = Math.max(1, CHUNK_ELEMENTS / in);
        try (NDManager manager = context.getManager().newSubManager()) {
            NDArray a = manager.create(product.a().toFloats(), new Shape(product.rank(), in));
            NDArray b = manager.create(product.b().toFloats(), new Shape(out, product.rank()));
            b.muli(product.scale());
            for (int from = 0; from < out; from += rows) {
                int to = Math.min(out, from + rows);
                try (NDManager chunk = manager.newSubManager()) {
                    NDArray wide =
                            change.weight() == null
                                    ? baseRows(module, from, to)
                                    : manager.create(
                                            floats(change.weight(), from * in, to * in),
                                            new Shape(to - from, in));
                    wide.attach(chunk);
                    NDArray scaled = b.get(from + ":" + to);
                    scaled.attach(chunk);
                    NDArray sum = wide.add(scaled.matMul(a)).toType(DataType.FLOAT64, false);
                    sum.attach(chunk);
                    double[] squares = sum.square().sum(new int[] {1}).toDoubleArray();
                    for (int i = 0; i < squares.length; ++i) {
                        result[from + i] = (float) (result[from + i] / Math.sqrt(squares[i]));
                    }
                }
            }
        }
        return result;
    }

    private NDArray baseRows(LoraModule module, int from, int to) {
        try (NDArray part = context.baseRows(context.getManager(), module.index(), from, to)) {
            return context.getOps().toType(part, ElementType.FLOAT32);
        }
    }

    private static float[] floats(HostTensor tensor, int from, int to) {
        int bytes = tensor.type().bytes();
        byte[] part = Arrays.copyOfRange(tensor.data(), from * bytes, to * bytes);
        return new HostTensor(tensor.type(), new long[] {to - from}, part).toFloats();
    }
}
