/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;

/**
 * What a LoRA adapter (arXiv 2106.09685) does to one module: it adds {@code scale * B (A x)} to the
 * module's output.
 *
 * @param rank the rank, at least 1
 * @param scale the factor of the product
 * @param a A [rank, inFeatures], in the type in which it was stored
 * @param b B [outFeatures, rank], in the type in which it was stored
 */
public record LoraWeights(int rank, float scale, HostTensor a, HostTensor b) {}
