/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;

/**
 * The keys and values of one layer, in pages of a fixed number of positions (arXiv 2309.06180).
 *
 * <p>They are of the activations' type, or 8-bit integers with {@link #SCALE_BYTES} in place of as
 * many components, which hold the scale in bfloat16 of each position of a head: of values behind
 * the position's own, of keys behind all components, one position's after the other's.
 *
 * @param keys [pages, heads, dim, positions]; the positions, a multiple of 16, are the last
 *     dimension so that one vector holds a component of neighbouring keys
 * @param values [pages, heads, positions, dim]
 */
public record KvPages(NDArray keys, NDArray values) {

    /** What the scale of a position of a head takes in pages of 8-bit integers. */
    public static final int SCALE_BYTES = 2;
}
