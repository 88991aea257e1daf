/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

/**
 * A tensor in a GGUF file.
 *
 * @param name its name
 * @param type its type in the file
 * @param shape its dimensions, the slowest first; the file has them the other way round
 * @param offset where its bytes begin in the file
 * @param size its bytes in the file
 */
record GgufTensor(String name, GgufType type, long[] shape, long offset, long size) {}
