/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A linear layer whose rows may each use another adapter, or none.
 *
 * <p>For inference only: the operator writes over the base product.
 */
public final class LoraLinear extends AbstractBlock {

    /**
     * The key of the {@link BatchPlan} among the parameters of {@code forward}. Without a plan
     * every row is one of the base model.
     */
    public static final String PLAN = "ai.djl.lora.plan";

    private static final byte VERSION = 1;

    private final LoraContext context;
    private final LoraModule module;
    private final Parameter weight;
    private final Parameter bias;

    /**
     * Constructs a new {@code LoraLinear} instance.
     *
     * @param context what the model's adapted layers share; the layer adds itself to its modules
     * @param name the layer's path in the checkpoint, without {@code .weight}
     * @param weight [out, in], of the context's type
     * @param bias [out], of the context's type, or null
     */
    public LoraLinear(LoraContext context, String name, NDArray weight, NDArray bias) {
        super(VERSION);
        Shape shape = weight.getShape();
        if (shape.dimension() != 2) {
            throw new IllegalArgumentException(
                    name + ".weight has shape " + shape + "; expected [out, in]");
        }
        if (bias != null && !bias.getShape().equals(new Shape(shape.get(0)))) {
            throw new IllegalArgumentException(
                    name
                            + ".bias has shape "
                            + bias.getShape()
                            + "; expected ("
                            + shape.get(0)
                            + ")");
        }
        this.context = context;
        this.module =
                context.addModule(
                        name, Math.toIntExact(shape.get(1)), Math.toIntExact(shape.get(0)));
        this.weight = parameter("weight", Parameter.Type.WEIGHT, weight);
        this.bias = bias == null ? null : parameter("bias", Parameter.Type.BIAS, bias);
    }

    /**
     * Wraps a layer of DJL's own, sharing its weights.
     *
     * @param context what the model's adapted layers share
     * @param name the name by which adapters call the layer
     * @param linear an initialized layer in float32
     * @return the adapted layer
     */
    public static LoraLinear of(LoraContext context, String name, Linear linear) {
        NDArray bias =
                linear.getDirectParameters().contains("bias")
                        ? linear.getDirectParameters().get("bias").getArray()
                        : null;
        return new LoraLinear(
                context, name, linear.getDirectParameters().get("weight").getArray(), bias);
    }

    private Parameter parameter(String name, Parameter.Type type, NDArray array) {
        Parameter parameter =
                addParameter(
                        Parameter.builder()
                                .setName(name)
                                .setType(type)
                                .optRequiresGrad(false)
                                .build());
        parameter.setArray(array);
        return parameter;
    }

    /**
     * Returns this layer's place among the model's modules.
     *
     * @return the module
     */
    public LoraModule getModule() {
        return module;
    }

    /**
     * Applies the layer and the adapters of a step.
     *
     * @param x [rows, in]
     * @param plan which rows use which adapter; null for the base model alone
     * @return [rows, out], attached to x's manager
     */
    public NDArray forward(NDArray x, BatchPlan plan) {
        return apply(x, weight.getArray(), bias == null ? null : bias.getArray(), plan);
    }

    private NDArray apply(NDArray x, NDArray w, NDArray b, BatchPlan plan) {
        NDArray base = context.getOps().linear(x, w);
        if (plan == null || plan.isBaseOnly()) {
            return b == null ? base : base.addi(b);
        }
        return context.getTable().apply(module.index(), x, base, b, plan);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        if (training) {
            throw new IllegalStateException(
                    "Layer " + module.name() + " is for inference; train adapters elsewhere");
        }
        NDArray x = inputs.singletonOrThrow();
        Shape shape = x.getShape();
        NDArray rows = x.reshape(-1, module.inFeatures());
        BatchPlan plan = params == null ? null : (BatchPlan) params.get(PLAN);
        NDArray y =
                apply(
                        rows,
                        parameterStore.getValue(weight, x.getDevice(), false),
                        parameterStore.getValue(bias, x.getDevice(), false),
                        plan);
        return new NDList(y.reshape(outputShape(shape)));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {outputShape(inputShapes[0])};
    }

    private Shape outputShape(Shape input) {
        return input.slice(0, input.dimension() - 1).add(module.outFeatures());
    }
}
