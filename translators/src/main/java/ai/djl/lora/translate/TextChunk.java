/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.TokenLogProb;
import java.util.List;

/**
 * What one token adds to an answer.
 *
 * @param token the token's id
 * @param text the text that is certain by it, often more or less than the token's own: half a
 *     character, or what may be the beginning of a stop string, waits for the tokens that follow
 * @param logProb the token's log-probability; NaN where none were asked for
 * @param top the most likely tokens in its place, as many as were asked for
 * @param finishReason why the answer ends with this token; null where more may come
 */
public record TextChunk(
        int token, String text, float logProb, List<TokenLogProb> top, FinishReason finishReason) {}
