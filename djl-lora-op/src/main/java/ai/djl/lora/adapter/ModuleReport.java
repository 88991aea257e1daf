/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/**
 * What an adapter does to one module.
 *
 * @param name the module's name in the base model; {@code prompt} and {@code prefix} for virtual
 *     tokens, which belong to no module
 * @param variant the method, such as {@code LoRA}, {@code DoRA}, {@code IA3} or {@code replaced}
 * @param rank the rank of the low-rank product that is added; 0 where there is none
 * @param scale the factor of the product, as it follows from alpha, rank and their patterns; 1
 *     where there is none
 * @param dtype the type in which the largest of the module's tensors is stored, such as {@code
 *     float16}
 * @param bytes the size of the module's tensors in the file
 */
public record ModuleReport(
        String name, String variant, int rank, double scale, String dtype, long bytes) {}
