/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.OffloadedWeight;
import ai.djl.lora.op.ResolvedPlan;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.Arrays;

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
    private volatile Parameter weight;
    private final Parameter bias;
    private volatile Merged merged;

    /** Where the weight is while it lies in the host's memory; null while it does not. */
    private volatile OffloadedWeight offloaded;

    /**
     * Constructs a new {@code LoraLinear} instance.
     *
     * @param context what the model's adapted layers share; the layer adds itself to its modules
     * @param name the layer's path in the checkpoint, without {@code .weight}
     * @param weight [out, in], of the context's type
     * @param bias [out], of the context's type, or null
     */
    public LoraLinear(LoraContext context, String name, NDArray weight, NDArray bias) {
        this(context, name, weight, bias, false);
    }

    private LoraLinear(
            LoraContext context, String name, NDArray weight, NDArray bias, boolean shared) {
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
        this.module = context.addModule(name, weight, bias);
        this.weight = parameter("weight", Parameter.Type.WEIGHT, weight);
        this.bias = bias == null ? null : parameter("bias", Parameter.Type.BIAS, bias);
        if (!shared) {
            addParameter(this.weight);
        }
        if (this.bias != null) {
            addParameter(this.bias);
        }
    }

    /**
     * Makes a layer whose weight is another block's, such as an output layer tied to the embedding.
     *
     * @param context what the model's adapted layers share
     * @param name the layer's path in the checkpoint, without {@code .weight}
     * @param weight [out, in], of the context's type; a parameter of the other block alone, which
     *     frees it
     * @return the layer, without parameters
     */
    public static LoraLinear sharing(LoraContext context, String name, NDArray weight) {
        return new LoraLinear(context, name, weight, null, true);
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

    private static Parameter parameter(String name, Parameter.Type type, NDArray array) {
        Parameter parameter = newParameter(name, type);
        parameter.setArray(array);
        return parameter;
    }

    private static Parameter newParameter(String name, Parameter.Type type) {
        return Parameter.builder().setName(name).setType(type).optRequiresGrad(false).build();
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
        return forward(x, context.resolve(plan));
    }

    /**
     * Applies the layer and the adapters of a step.
     *
     * @param x [rows, in]
     * @param plan which rows use which adapter, resolved by this layer's context
     * @return [rows, out], attached to x's manager
     */
    public NDArray forward(NDArray x, ResolvedPlan plan) {
        return apply(x, weight(), bias == null ? null : bias.getArray(), plan);
    }

    /**
     * Applies several layers that share their input, such as the projections to queries, keys and
     * values, so that the adapters' parts for all of them are applied in one call.
     *
     * @param x [rows, in]
     * @param plan which rows use which adapters, resolved by the layers' context
     * @param layers the layers, all of one model
     * @return for each layer [rows, out], attached to x's manager
     */
    public static NDArray[] forwardAll(NDArray x, ResolvedPlan plan, LoraLinear... layers) {
        if (anyNeedsCare(plan, layers)) {
            return Arrays.stream(layers).map(one -> one.forward(x, plan)).toArray(NDArray[]::new);
        }
        LoraContext context = layers[0].context;
        TensorOps ops = context.getOps();
        NDArray[] weights = weights(layers);
        NDArray[] biases = biases(layers);
        if (!plan.isBaseOnly()) {
            return context.getTable()
                    .linearAll(ops, modules(layers), x, weights, biases, plan.plan());
        }
        NDArray[] bases = ops.linearAll(x, weights);
        for (int i = 0; i < layers.length; ++i) {
            bases[i] = biases[i] == null ? bases[i] : bases[i].addi(biases[i]);
        }
        return bases;
    }

    /**
     * Applies the first half of a gated feed-forward part: {@code silu(gate(x)) * up(x)}.
     *
     * @param x [rows, in]
     * @param plan which rows use which adapters, resolved by the layers' context
     * @param gate the layer that the activation comes behind
     * @param up the other, of as many outputs and of the same model
     * @return [rows, out], attached to x's manager
     */
    public static NDArray forwardGated(
            NDArray x, ResolvedPlan plan, LoraLinear gate, LoraLinear up) {
        TensorOps ops = gate.context.getOps();
        if (plan.isBaseOnly() || anyNeedsCare(plan, gate, up)) {
            NDArray[] both = forwardAll(x, plan, gate, up);
            return ops.siluMul(both[0], both[1]);
        }
        return gate.context
                .getTable()
                .gatedLinear(
                        ops,
                        modules(gate, up),
                        x,
                        weights(gate, up),
                        biases(gate, up),
                        plan.plan());
    }

    private static NDArray[] weights(LoraLinear... layers) {
        NDArray[] weights = new NDArray[layers.length];
        for (int i = 0; i < layers.length; ++i) {
            weights[i] = layers[i].weight();
        }
        return weights;
    }

    private static NDArray[] biases(LoraLinear... layers) {
        NDArray[] biases = new NDArray[layers.length];
        for (int i = 0; i < layers.length; ++i) {
            biases[i] = layers[i].bias == null ? null : layers[i].bias.getArray();
        }
        return biases;
    }

    private static int[] modules(LoraLinear... layers) {
        int[] modules = new int[layers.length];
        for (int i = 0; i < layers.length; ++i) {
            modules[i] = layers[i].module.index();
        }
        return modules;
    }

    private static boolean anyNeedsCare(ResolvedPlan plan, LoraLinear... layers) {
        for (LoraLinear layer : layers) {
            if (layer.needsCare(plan)) {
                return true;
            }
        }
        return false;
    }

    private boolean needsCare(ResolvedPlan plan) {
        return merged != null || plan.changesLinear(module.index());
    }

    private NDArray apply(NDArray x, NDArray w, NDArray b, ResolvedPlan plan) {
        Merged adapter = merged;
        if (adapter != null) {
            adapter.requireNoOther(module, plan.plan());
            NDArray y = context.getOps().linear(x, adapter.weight);
            return b == null ? y : y.addi(b);
        }
        if (plan.isBaseOnly()) {
            NDArray base = context.getOps().linear(x, w);
            return b == null ? base : base.addi(b);
        }
        AdapterTable table = context.getTable();
        if (!plan.changesLinear(module.index())) {
            int[] group = {module.index()};
            NDArray[] weights = {w};
            NDArray[] biases = {b};
            return table.linearAll(context.getOps(), group, x, weights, biases, plan.plan())[0];
        }
        NDArray input = scaledInput(x, plan);
        NDArray base = context.getOps().linear(input, w);
        replaceBase(input, base, plan);
        return table.apply(module.index(), input, base, b, plan.plan());
    }

    /** Returns x with the rows scaled whose adapters scale this layer's input. */
    private NDArray scaledInput(NDArray x, ResolvedPlan plan) {
        NDArray result = x;
        for (ResolvedPlan.Part part : plan.parts()) {
            NDArray scale = part.extras().inputScale(module.index());
            if (scale != null) {
                if (result == x) {
                    result = x.duplicate();
                }
                try (NDArray rows = context.getOps().rows(result, part.from(), part.to())) {
                    rows.muli(scale);
                }
            }
        }
        return result;
    }

    /** Puts other weights' products in the place of rows whose adapters replace this layer's. */
    private void replaceBase(NDArray x, NDArray base, ResolvedPlan plan) {
        TensorOps ops = context.getOps();
        for (ResolvedPlan.Part part : plan.parts()) {
            NDArray other = part.extras().weight(module.index());
            if (other != null) {
                try (NDArray rows = ops.rows(x, part.from(), part.to());
                        NDArray product = ops.linear(rows, other)) {
                    ops.copyRows(base, part.from(), product);
                }
            }
            AdapterExtras.ReplacedRows replaced = part.extras().weightRows(module.index());
            if (replaced != null) {
                replaceOutputs(x, base, part, replaced);
            }
        }
    }

    /* Rows of the weight are columns of the product. */
    private void replaceOutputs(
            NDArray x, NDArray base, ResolvedPlan.Part part, AdapterExtras.ReplacedRows replaced) {
        TensorOps ops = context.getOps();
        int[] outputs = replaced.indices();
        try (NDArray rows = ops.rows(x, part.from(), part.to());
                NDArray product = ops.linear(rows, replaced.values());
                NDArray columns = product.transpose();
                NDArray target = ops.rows(base, part.from(), part.to());
                NDArray targetColumns = target.transpose()) {
            int from = 0;
            while (from < outputs.length) {
                int to = from + 1;
                while (to < outputs.length && outputs[to] == outputs[to - 1] + 1) {
                    ++to;
                }
                try (NDArray run = ops.rows(columns, from, to)) {
                    ops.copyRows(targetColumns, outputs[from], run);
                }
                from = to;
            }
        }
    }

    /**
     * Puts {@code W + scale * B A} in the place of the base weight W. W itself is kept as it is; it
     * may be a mapped file.
     *
     * @param slot the slot of the merged adapter, the only one that steps may use until {@link
     *     #unmerge}
     * @param part the adapter's part for this layer, or null if it has none
     */
    void merge(int slot, LoraWeights part) {
        if (offloaded != null) {
            throw new LoraConfigurationException(
                    "An adapter cannot be merged into "
                            + module.name()
                            + ", whose weight lies in the host's memory; load the model with"
                            + " offload_layers 0, or do not merge");
        }
        NDArray base = weight.getArray();
        NDManager manager = context.getManager();
        if (part == null) {
            merged = new Merged(slot, base, false);
            return;
        }
        TensorOps ops = context.getOps();
        try (NDManager scratch = manager.newSubManager()) {
            NDArray a = scratch.create(part.a().toFloats(), new Shape(part.a().shape()));
            NDArray b = scratch.create(part.b().toFloats(), new Shape(part.b().shape()));
            NDArray sum = ops.toType(base, ElementType.FLOAT32);
            sum.attach(scratch);
            sum.addi(b.matMul(a).muli(part.scale()));
            // rounded once, from the float32 sum
            NDArray result = ops.toType(sum, context.getType());
            result.attach(manager);
            merged = new Merged(slot, result, true);
        }
    }

    /**
     * Returns the weight, where it is on the device for good.
     *
     * @return [out, in], this layer's own
     * @throws IllegalStateException if it is offloaded
     */
    public NDArray getWeight() {
        return context.getBaseWeight(module.index());
    }

    /**
     * Frees the weight on the device, which has been copied to the host's memory. Called while
     * nothing else uses the model ({@link LoraContext#runAlone}). The parameter keeps its shape
     * alone, so that nobody takes what lies in a buffer for this layer's weight.
     *
     * @param home where the weight is from now on
     */
    public void offload(OffloadedWeight home) {
        requireMovable(home.shape());
        Parameter before = weight;
        Parameter shape = newParameter("weight", Parameter.Type.WEIGHT);
        shape.setShape(home.shape());
        addParameter(shape);
        weight = shape;
        offloaded = home;
        context.moveBaseWeight(module.index(), null, home);
        before.close();
    }

    /**
     * Takes the weight back from the host's memory. Called while nothing else uses the model.
     *
     * @param array [out, in] on the device, this layer's from now on
     */
    public void restore(NDArray array) {
        requireMovable(array.getShape());
        weight = addParameter(parameter("weight", Parameter.Type.WEIGHT, array));
        offloaded = null;
        context.moveBaseWeight(module.index(), array, null);
    }

    private void requireMovable(Shape shape) {
        if (merged != null || !parameters.containsKey("weight")) {
            throw new IllegalStateException(
                    "The weight of "
                            + module.name()
                            + " is merged or shared, and stays where it is");
        }
        if (!shape.equals(new Shape(module.outFeatures(), module.inFeatures()))) {
            throw new IllegalArgumentException(
                    "What replaces the weight of " + module.name() + " has shape " + shape);
        }
    }

    private NDArray weight() {
        OffloadedWeight home = offloaded;
        return home == null ? weight.getArray() : home.array();
    }

    /**
     * Returns whether an adapter is merged into this layer.
     *
     * @return whether one is
     */
    public boolean isMerged() {
        return merged != null;
    }

    /** Puts the base weight back, the same array as before. */
    void unmerge() {
        Merged adapter = merged;
        merged = null;
        if (adapter != null && adapter.owned) {
            adapter.weight.close();
        }
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
                        offloaded == null
                                ? parameterStore.getValue(weight, x.getDevice(), false)
                                : weight(),
                        parameterStore.getValue(bias, x.getDevice(), false),
                        context.resolve(plan));
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

    /**
     * A merged adapter: its slot and the sum of weights, owned unless it is the base weight itself.
     */
    private record Merged(int slot, NDArray weight, boolean owned) {

        /* Fail closed: with merged weights there is no base answer, nor any other adapter's. */
        void requireNoOther(LoraModule module, BatchPlan plan) {
            boolean alone = plan != null;
            for (int s = 0; alone && s < plan.segments(); ++s) {
                alone = plan.mix(s).equals(AdapterMix.of(slot));
            }
            if (!alone) {
                throw new LoraConfigurationException(
                        "An adapter is merged into "
                                + module.name()
                                + " and answers alone; unmerge it before other adapters or the base"
                                + " model are used");
            }
        }
    }
}
