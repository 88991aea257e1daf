/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.List;

/**
 * A token that was chosen.
 *
 * @param token the token's id
 * @param logProb the natural logarithm of the probability that the model's own logits give it; NaN
 *     where no log-probabilities were asked for, and {@code bestOf} is not above {@code n}
 * @param top the most likely tokens, the most likely first, the chosen one not always among them;
 *     as many as were asked for
 */
public record Sample(int token, float logProb, List<TokenLogProb> top) {}
