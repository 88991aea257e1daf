/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * What a defragmentation of a {@link BlockPool} moved.
 *
 * @param blocks how many blocks
 * @param bytes how much, each block counted up to the alignment
 */
public record Defragmentation(int blocks, long bytes) {}
