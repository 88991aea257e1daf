/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.LoraContext;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/** Normalises the last dimension by its root mean square (arXiv 1910.07467). */
final class RmsNorm extends AbstractBlock {

    private static final byte VERSION = 1;

    private final LoraContext context;
    private final NDArray weight;
    private final double epsilon;

    RmsNorm(LoraContext context, NDArray weight, double epsilon) {
        super(VERSION);
        this.context = context;
        this.weight = weight;
        this.epsilon = epsilon;
        Parameter parameter =
                Parameter.builder()
                        .setName("weight")
                        .setType(Parameter.Type.GAMMA)
                        .optRequiresGrad(false)
                        .build();
        parameter.setArray(weight);
        addParameter(parameter);
    }

    /**
     * Normalises an array.
     *
     * @param x [..., size]
     * @return an array of the same shape and type, attached to the manager of {@code x}
     */
    NDArray forward(NDArray x) {
        return context.getOps().rmsNorm(x, weight, epsilon);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        return new NDList(forward(inputs.singletonOrThrow()));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return inputShapes;
    }
}
