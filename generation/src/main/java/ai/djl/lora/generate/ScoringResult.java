/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.Substitution;
import java.util.Optional;

/**
 * How likely a text is.
 *
 * @param adapter the name of the adapter that was asked for, empty for the base model
 * @param tokens the token ids that were scored
 * @param logProbs the natural logarithm of each one's probability given all tokens before it
 * @param greedy whether each was the most likely token in its place; of equally likely ones the one
 *     with the lowest id is
 * @param revision the content hash of the adapter that answered; {@code base} for the base model
 * @param substitution who answered in the adapter's place and why; empty where it answered itself
 */
public record ScoringResult(
        String adapter,
        int[] tokens,
        float[] logProbs,
        boolean[] greedy,
        String revision,
        Optional<Substitution> substitution) {

    /**
     * Returns the text's log-likelihood.
     *
     * @return the sum of the tokens' log-probabilities
     */
    public double logLikelihood() {
        double sum = 0;
        for (float logProb : logProbs) {
            sum += logProb;
        }
        return sum;
    }

    /**
     * Returns the perplexity.
     *
     * @return {@code exp(-logLikelihood / tokens)}, 1 for a text that is certain
     */
    public double perplexity() {
        return Math.exp(-logLikelihood() / logProbs.length);
    }

    /**
     * Returns whether greedy decoding would have written the text.
     *
     * @return whether every token was the most likely one
     */
    public boolean isGreedy() {
        boolean all = true;
        for (boolean each : greedy) {
            all &= each;
        }
        return all;
    }
}
