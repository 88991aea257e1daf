/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.ndarray.types.Shape;

/**
 * The shapes of a step's queries, keys and values. Made once for all layers: DJL's constructor of a
 * shape takes longer than many operators' other work in Java.
 *
 * @param queries [tokens, heads, dim]
 * @param keys [tokens, key heads, dim], also of values
 * @param rows [tokens, heads x dim]
 */
record AttentionShapes(Shape queries, Shape keys, Shape rows) {

    static AttentionShapes of(LlamaConfig config, long tokens) {
        long heads = config.numAttentionHeads();
        long dim = config.headDim();
        return new AttentionShapes(
                new Shape(tokens, heads, dim),
                new Shape(tokens, config.numKeyValueHeads(), dim),
                new Shape(tokens, heads * dim));
    }
}
