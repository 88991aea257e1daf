/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/**
 * A token and how likely the model holds it.
 *
 * @param token the token's id
 * @param logProb the natural logarithm of its probability
 */
public record TokenLogProb(int token, float logProb) {}
