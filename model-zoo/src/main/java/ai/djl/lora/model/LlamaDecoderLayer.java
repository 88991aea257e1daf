/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.ndarray.NDArray;

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

    /**
     * {@inheritDoc}
     *
     * <p>The result is x itself, to which both parts are added in place.
     */
    @Override
    NDArray forward(NDArray x, StepState step) {
        NDArray attended = attention.forward(inputNorm.forward(x, step.plan()), step);
        NDArray normalised = postAttentionNorm.forwardSum(x, attended, step.plan());
        return x.addi(mlp.forward(normalised, step));
    }
}
