/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;

/**
 * The keys and values of one layer, in pages of a fixed number of positions (arXiv 2309.06180).
 *
 * @param keys [pages, heads, dim, positions]; the positions, a multiple of 16, are the last
 *     dimension so that one vector holds a component of neighbouring keys
 * @param values [pages, heads, positions, dim]
 */
public record KvPages(NDArray keys, NDArray values) {}
