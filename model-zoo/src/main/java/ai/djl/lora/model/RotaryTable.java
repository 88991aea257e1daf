/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/**
 * The cosines and sines of the rotary position embedding (RoPE, arXiv 2104.09864), position by
 * position.
 *
 * <p>The table starts small and doubles when a step reaches behind its end. Angles are products of
 * float32 numbers, as transformers computes them, whatever the type of the model.
 */
final class RotaryTable {

    private static final int FIRST_POSITIONS = 256;

    private final LoraContext context;
    private final float[] inverseFrequencies;
    private final int maxPositions;
    private int positions;
    private NDArray cosines;
    private NDArray sines;

    RotaryTable(LlamaConfig config, LoraContext context) {
        this.context = context;
        this.maxPositions = config.maxPositionEmbeddings();
        this.inverseFrequencies = new float[config.headDim() / 2];
        for (int i = 0; i < inverseFrequencies.length; ++i) {
            float exponent = (float) (2 * i) / config.headDim();
            float plain = 1 / (float) Math.pow((float) config.ropeTheta(), exponent);
            inverseFrequencies[i] = config.ropeScaling().scale(plain);
        }
    }

    /** The rows of some positions, float32 [tokens, dim / 2] each. */
    record Rows(NDArray cos, NDArray sin) {}

    /**
     * Returns the rows of the given positions.
     *
     * @param positionIds positions [tokens], int64
     * @param highest the highest of them
     * @return the rows, attached to the manager of the ids
     */
    synchronized Rows rows(NDArray positionIds, int highest) {
        if (highest >= positions) {
            grow(
                    Math.min(
                            maxPositions,
                            Math.max(highest + 1, Math.max(2 * positions, FIRST_POSITIONS))));
        }
        TensorOps ops = context.getOps();
        return new Rows(ops.embedding(cosines, positionIds), ops.embedding(sines, positionIds));
    }

    private void grow(int rows) {
        int half = inverseFrequencies.length;
        float[] cos = new float[rows * half];
        float[] sin = new float[rows * half];
        for (int position = 0; position < rows; ++position) {
            for (int i = 0; i < half; ++i) {
                float angle = position * inverseFrequencies[i];
                cos[position * half + i] = (float) Math.cos(angle);
                sin[position * half + i] = (float) Math.sin(angle);
            }
        }
        Shape shape = new Shape(rows, half);
        NDArray oldCosines = cosines;
        NDArray oldSines = sines;
        NDManager manager = context.getManager();
        cosines = manager.create(cos, shape);
        sines = manager.create(sin, shape);
        positions = rows;
        if (oldCosines != null) {
            oldCosines.close();
            oldSines.close();
        }
    }
}
