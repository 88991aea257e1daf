/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

/**
 * A linear layer of the base model that adapters may change.
 *
 * @param index the layer's place in the model's adapter table, from 0
 * @param name the layer's path as the checkpoint names it, without a trailing {@code .weight}, such
 *     as {@code model.layers.0.self_attn.q_proj}
 * @param inFeatures the number of inputs
 * @param outFeatures the number of outputs
 */
public record LoraModule(int index, String name, int inFeatures, int outFeatures) {

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name + " [" + outFeatures + ", " + inFeatures + "]";
    }
}
