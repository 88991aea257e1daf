/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.TokenLogProb;
import java.util.List;

/**
 * A new token of a sequence.
 *
 * @param index how many new tokens came before it
 * @param token the token id
 * @param logProb its log-probability; NaN where none were asked for
 * @param top the most likely tokens, as many as were asked for
 * @param finishReason why the sequence ends with it; null where more may come
 */
public record GeneratedToken(
        int index, int token, float logProb, List<TokenLogProb> top, FinishReason finishReason) {}
