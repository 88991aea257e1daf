/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A part of a language model that maps the packed tokens of a step [tokens, hidden] to a matrix of
 * the same shape.
 *
 * <p>The model calls {@link #forward(NDArray, StepState)}. Through DJL's own call the state of the
 * step is looked for in the parameters, under {@link #STEP}.
 */
abstract class StepBlock extends AbstractBlock {

    /** The key of the {@link StepState} in the parameters of DJL's call. */
    static final String STEP = "ai.djl.lora.step";

    private static final byte VERSION = 1;

    StepBlock() {
        super(VERSION);
    }

    /**
     * Computes the block.
     *
     * @param x the packed tokens [tokens, hidden]
     * @param step the state of the step
     * @return [tokens, hidden], attached to the manager of {@code x}
     */
    abstract NDArray forward(NDArray x, StepState step);

    /** {@inheritDoc} */
    @Override
    protected final NDList forwardInternal(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        Object step = params == null ? null : params.get(STEP);
        if (!(step instanceof StepState state)) {
            throw new IllegalArgumentException(
                    getClass().getSimpleName() + " is part of a model and runs in its steps alone");
        }
        return new NDList(forward(inputs.singletonOrThrow(), state));
    }

    /** {@inheritDoc} */
    @Override
    public final Shape[] getOutputShapes(Shape[] inputShapes) {
        return inputShapes;
    }
}
