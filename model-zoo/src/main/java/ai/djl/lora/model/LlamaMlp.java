/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.nn.LoraLinear;
import ai.djl.ndarray.NDArray;
import java.util.List;

/** The gated feed-forward part of a decoder layer: {@code down(silu(gate(x)) * up(x))}. */
final class LlamaMlp extends StepBlock {

    private final LoraLinear gate;
    private final LoraLinear up;
    private final LoraLinear down;

    LlamaMlp(LoraLinear gate, LoraLinear up, LoraLinear down) {
        this.gate = addChildBlock("gate_proj", gate);
        this.up = addChildBlock("up_proj", up);
        this.down = addChildBlock("down_proj", down);
    }

    /** Returns the linear layers, in the order of {@link LlamaWeights#layerShapes}. */
    List<LoraLinear> linears() {
        return List.of(gate, up, down);
    }

    /** {@inheritDoc} */
    @Override
    NDArray forward(NDArray x, StepState step) {
        NDArray gated = LoraLinear.forwardGated(x, step.plan(), gate, up);
        return down.forward(gated, step.plan());
    }
}
