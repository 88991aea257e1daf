/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.ResolvedPlan;
import ai.djl.lora.op.TensorOps;
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
    private final String name;
    private final NDArray weight;
    private final double epsilon;

    /**
     * Constructs a new {@code RmsNorm} instance.
     *
     * @param context what the model's layers share; the norm adds itself to what adapters may
     *     replace
     * @param name the norm's path in the checkpoint, without {@code .weight}
     * @param weight [size]
     * @param epsilon what is added to the mean square
     */
    RmsNorm(LoraContext context, String name, NDArray weight, double epsilon) {
        super(VERSION);
        context.addNorm(name, Math.toIntExact(weight.size()));
        this.context = context;
        this.name = name;
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
     * Normalises the rows of a step, each with its adapter's weight where that replaces the norm's.
     *
     * @param x [rows, ..., size]
     * @param plan which rows use which adapter
     * @return an array of the same shape and type, attached to the manager of {@code x}
     */
    NDArray forward(NDArray x, ResolvedPlan plan) {
        return replaceParts(x, context.getOps().rmsNorm(x, weight, epsilon), plan);
    }

    /**
     * Adds to the rows of a step in place, and normalises the sums.
     *
     * @param x [rows, ..., size]; becomes {@code x + delta}
     * @param delta of x's shape and type
     * @param plan which rows use which adapter
     * @return an array of the same shape and type, attached to the manager of {@code x}
     */
    NDArray forwardSum(NDArray x, NDArray delta, ResolvedPlan plan) {
        return replaceParts(x, context.getOps().addRmsNorm(x, delta, weight, epsilon), plan);
    }

    private NDArray replaceParts(NDArray x, NDArray y, ResolvedPlan plan) {
        TensorOps ops = context.getOps();
        for (ResolvedPlan.Part part : plan.parts()) {
            NDArray other = part.extras().norm(name);
            if (other != null) {
                try (NDArray rows = ops.rows(x, part.from(), part.to());
                        NDArray normalised = ops.rmsNorm(rows, other, epsilon)) {
                    ops.copyRows(y, part.from(), normalised);
                }
            }
        }
        return y;
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        return new NDList(forward(inputs.singletonOrThrow(), context.resolve(null)));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return inputShapes;
    }
}
