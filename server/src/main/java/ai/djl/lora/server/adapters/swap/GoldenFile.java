/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import java.util.OptionalDouble;

/**
 * A file of tokens and of the logits that another program computed for them with an adapter; see
 * {@link ai.djl.lora.model.GoldenLogits}.
 *
 * @param source where it is, as adapters are given
 * @param tolerance how far the logarithm of a token's probability may lie from the file's; empty
 *     for what the model's type of number allows
 */
public record GoldenFile(String source, OptionalDouble tolerance) {}
