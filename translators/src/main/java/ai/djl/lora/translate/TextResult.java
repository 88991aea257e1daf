/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.Sample;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The answer to a {@link TextRequest}; where several were asked for, the first of them.
 *
 * @param text the new text, such that the prompt and this make the whole; special tokens are left
 *     out
 * @param tokens the new token ids; with {@link FinishReason#STOP} the last one is the end-of-text
 *     or stop token, unless a stop string or a constraint ended the text
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param finishReason why the text ended
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why; empty where it answered itself
 * @param logProb the sum of the tokens' log-probabilities; NaN unless log-probabilities were asked
 *     for, or {@code bestOf} is above {@code n}
 * @param samples the tokens with their log-probabilities and those of the most likely tokens, as
 *     they were asked for; empty if they were not
 * @param others the further answers to the request, where several were asked for
 */
public record TextResult(
        String text,
        int[] tokens,
        String adapter,
        FinishReason finishReason,
        String revision,
        Optional<Substitution> substitution,
        double logProb,
        List<Sample> samples,
        List<TextResult> others) {

    /**
     * Returns all answers to the request.
     *
     * @return this one and the others
     */
    public List<TextResult> answers() {
        List<TextResult> answers = new ArrayList<>(1 + others.size());
        answers.add(this);
        answers.addAll(others);
        return answers;
    }
}
