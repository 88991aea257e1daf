/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.nn.LoraLinear;
import ai.djl.ndarray.NDArray;
import java.util.ArrayList;
import java.util.List;

/** A decoder layer: attention and feed-forward part, each normalised before and added to x. */
final class LlamaDecoderLayer extends StepBlock {

    private final RmsNorm inputNorm;
    private final LlamaAttention attention;
    private final RmsNorm postAttentionNorm;
    private final LlamaMlp mlp;

    LlamaDecoderLayer(
            RmsNorm inputNorm, LlamaAttention attention, RmsNorm postAttentionNorm, LlamaMlp mlp) {
        this.inputNorm = addChildBlock("input_layernorm", inputNorm);
        this.attention = addChildBlock("self_attn", attention);
        this.postAttentionNorm = addChildBlock("post_attention_layernorm", postAttentionNorm);
        this.mlp = addChildBlock("mlp", mlp);
    }

    /** Returns the linear layers, in the order of {@link LlamaWeights#layerShapes}. */
    List<LoraLinear> linears() {
        List<LoraLinear> linears = new ArrayList<>(attention.linears());
        linears.addAll(mlp.linears());
        return linears;
    }

    /**
     * {@inheritDoc}
     *
     * <p>The result is x itself, to which both parts are added in place.
     */
    @Override
    NDArray forward(NDArray x, StepState step) {
        return x.addi(forward(x, null, step));
    }

    /**
     * Computes the layer but for the last sum, which is the next layer's: a norm that comes behind
     * a sum costs nothing more than one without.
     *
     * @param x the packed tokens [tokens, hidden]; what was still to be added and this layer's
     *     attention are added in place
     * @param delta what is still to be added to x, which is freed; null for nothing
     * @param step the state of the step
     * @return what is then still to be added to x, of its shape and attached to its manager
     */
    NDArray forward(NDArray x, NDArray delta, StepState step) {
        NDArray normalised;
        if (delta == null) {
            normalised = inputNorm.forward(x, step.plan());
        } else {
            try (delta) {
                normalised = inputNorm.forwardSum(x, delta, step.plan());
            }
        }
        NDArray attended = attention.forward(normalised, step);
        normalised = postAttentionNorm.forwardSum(x, attended, step.plan());
        return mlp.forward(normalised, step);
    }
}
