/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.sampling.Sample;
import java.util.List;
import java.util.Optional;

/**
 * What a request was answered with.
 *
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param tokens the new token ids, without the prompt; with {@link FinishReason#STOP} the last one
 *     is the end-of-text or stop token, as Hugging Face's {@code generate} returns it, unless a
 *     stop condition or a constraint ended the text
 * @param finishReason why the sequence ended
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why, where it could not be had and a
 *     policy allowed that; empty where the adapter itself answered
 * @param index which of the answers to its request it is, in the order of their seeds, from 0
 * @param logProb the sum of the tokens' log-probabilities, the last one's too; NaN unless
 *     log-probabilities were asked for, or {@code bestOf} is above {@code n}
 * @param samples the tokens with their log-probabilities and those of the most likely tokens, as
 *     they were asked for; empty if they were not
 */
public record GenerationResult(
        String adapter,
        int[] tokens,
        FinishReason finishReason,
        String revision,
        Optional<Substitution> substitution,
        int index,
        double logProb,
        List<Sample> samples) {}
