/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.KvPages;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;

/**
 * Attention with rotary positions, query heads in groups (arXiv 2305.13245), and where the model
 * has them normalised queries and keys and a sliding window.
 *
 * <p>All parts take the tokens of all sequences together; each sequence attends to its own cache.
 */
final class LlamaAttention extends StepBlock {

    private final LoraContext context;
    private final LlamaConfig config;
    private final int layer;
    private final double scale;
    private final LoraLinear queryProjection;
    private final LoraLinear keyProjection;
    private final LoraLinear valueProjection;
    private final LoraLinear outputProjection;
    private final RmsNorm queryNorm;
    private final RmsNorm keyNorm;

    /**
     * Constructs a new {@code LlamaAttention} instance.
     *
     * @param context the model's context
     * @param config the model's configuration
     * @param layer the index of the decoder layer
     * @param weights the model's weights
     */
    LlamaAttention(LoraContext context, LlamaConfig config, int layer, LlamaWeights weights) {
        this.context = context;
        this.config = config;
        this.layer = layer;
        this.scale = 1 / Math.sqrt(config.headDim());
        String prefix = "model.layers." + layer + ".self_attn.";
        this.queryProjection = addChildBlock("q_proj", weights.linear(prefix + "q_proj"));
        this.keyProjection = addChildBlock("k_proj", weights.linear(prefix + "k_proj"));
        this.valueProjection = addChildBlock("v_proj", weights.linear(prefix + "v_proj"));
        this.outputProjection = addChildBlock("o_proj", weights.linear(prefix + "o_proj"));
        if (config.queryKeyNorm()) {
            this.queryNorm = addChildBlock("q_norm", weights.norm(prefix + "q_norm"));
            this.keyNorm = addChildBlock("k_norm", weights.norm(prefix + "k_norm"));
        } else {
            this.queryNorm = null;
            this.keyNorm = null;
        }
    }

    /** Returns the linear layers, in the order of {@link LlamaWeights#layerShapes}. */
    List<LoraLinear> linears() {
        return List.of(queryProjection, keyProjection, valueProjection, outputProjection);
    }

    /** {@inheritDoc} */
    @Override
    NDArray forward(NDArray x, StepState step) {
        AttentionShapes shapes = step.shapes();
        NDArray[] projected =
                LoraLinear.forwardAll(
                        x, step.plan(), queryProjection, keyProjection, valueProjection);
        NDArray queries = projected[0].reshape(shapes.queries());
        NDArray keys = projected[1].reshape(shapes.keys());
        NDArray values = projected[2].reshape(shapes.keys());
        if (queryNorm != null) {
            queries = queryNorm.forward(queries, step.plan());
            keys = keyNorm.forward(keys, step.plan());
        }
        NDArray attended;
        if (step.pools().size() == 1) {
            PoolRows rows = step.pools().get(0);
            attended = attend(queries, keys, values, step.cos(), step.sin(), rows);
        } else {
            attended = attendByPool(queries, keys, values, step);
        }
        return outputProjection.forward(attended.reshape(shapes.rows()), step.plan());
    }

    /* Caches of several pools: each pool's rows in a call of their own. */
    private NDArray attendByPool(NDArray queries, NDArray keys, NDArray values, StepState step) {
        TensorOps ops = context.getOps();
        NDManager manager = queries.getManager();
        NDArray attended = ops.empty(manager, queries.getShape(), context.getType());
        for (PoolRows rows : step.pools()) {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray part =
                        attend(
                                rowsOf(queries, rows, scratch),
                                rowsOf(keys, rows, scratch),
                                rowsOf(values, rows, scratch),
                                rowsOf(step.cos(), rows, scratch),
                                rowsOf(step.sin(), rows, scratch),
                                rows);
                ops.copyRows(attended, rows.from(), part);
            }
        }
        return attended;
    }

    private NDArray rowsOf(NDArray array, PoolRows rows, NDManager manager) {
        NDArray part = context.getOps().rows(array, rows.from(), rows.to());
        part.attach(manager);
        return part;
    }

    private NDArray attend(
            NDArray queries,
            NDArray keys,
            NDArray values,
            NDArray cos,
            NDArray sin,
            PoolRows rows) {
        TensorOps ops = context.getOps();
        KvPages pages = rows.pool().pages(layer);
        ops.rotateAndWrite(queries, keys, values, cos, sin, pages, rows.batch());
        int window = config.slidingWindows().get(layer);
        return ops.pagedAttention(queries, pages, rows.batch(), window, scale);
    }
}
