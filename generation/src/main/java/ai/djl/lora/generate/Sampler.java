/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraBackendException;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Chooses the tokens of one sequence from the model's logits.
 *
 * <p>Temperature comes first, then top-k, then top-p over what top-k left, as in Hugging Face's
 * {@code generate}. A sampler draws exactly one random number for each token from a generator of
 * its own, so that what it chooses depends on nothing but its seed and the logits it is given.
 */
final class Sampler {

    private final double temperature;
    private final int topK;
    private final double topP;
    private final SplittableRandom random;

    /**
     * Constructs a new {@code Sampler} instance.
     *
     * @param parameters the parameters, valid
     */
    Sampler(SamplingParameters parameters) {
        this.temperature = parameters.temperature();
        this.topK = parameters.topK();
        this.topP = parameters.topP();
        this.random = new SplittableRandom(parameters.seed());
    }

    /**
     * Chooses the next token.
     *
     * @param logits the logits of many rows behind one another
     * @param offset the first logit of this row
     * @param vocabSize the number of logits in the row
     * @return the token's id
     * @throws LoraBackendException if a logit is NaN or infinite; negative infinity is allowed
     *     beside finite ones, for tokens that are ruled out
     */
    int sample(float[] logits, int offset, int vocabSize) {
        int best = argmax(logits, offset, vocabSize);
        if (temperature == 0) {
            return best;
        }
        int[] candidates = candidates(logits, offset, vocabSize);
        double[] weights = new double[candidates.length];
        double sum = 0;
        for (int i = 0; i < candidates.length; ++i) {
            weights[i] = weight(logits[offset + candidates[i]], logits[offset + best]);
            sum += weights[i];
        }
        int kept = topP < 1 ? nucleus(weights, sum) : candidates.length;
        if (kept < candidates.length) {
            sum = 0;
            for (int i = 0; i < kept; ++i) {
                sum += weights[i];
            }
        }
        double left = random.nextDouble() * sum;
        int chosen = best;
        for (int i = 0; i < kept; ++i) {
            if (weights[i] > 0) {
                // also the answer where rounding leaves a rest behind the last one
                chosen = candidates[i];
                left -= weights[i];
                if (left < 0) {
                    break;
                }
            }
        }
        return chosen;
    }

    /** Returns the lowest id among the greatest logits, as torch.argmax does. */
    private static int argmax(float[] logits, int offset, int vocabSize) {
        int best = 0;
        for (int i = 0; i < vocabSize; ++i) {
            float logit = logits[offset + i];
            if (Float.isNaN(logit) || logit == Float.POSITIVE_INFINITY) {
                throw new LoraBackendException(
                        "the model's logit of token " + i + " is " + logit + "; it must be finite");
            }
            if (logit > logits[offset + best]) {
                best = i;
            }
        }
        if (logits[offset + best] == Float.NEGATIVE_INFINITY) {
            throw new LoraBackendException(
                    "the model's logits are all -Infinity; at least one must be finite");
        }
        return best;
    }

    /** The softmax's numerator; against the greatest logit it is at most 1 and cannot overflow. */
    private double weight(float logit, float greatest) {
        return Math.exp(((double) logit - greatest) / temperature);
    }

    /** Returns the ids that may be drawn: all in order, or the most likely ones sorted. */
    private int[] candidates(float[] logits, int offset, int vocabSize) {
        int[] ids = new int[vocabSize];
        if (topP == 1 && (topK == 0 || topK >= vocabSize)) {
            Arrays.setAll(ids, i -> i);
            return ids;
        }
        // One long for each token, which sorts by falling logit and then by rising id.
        long[] keys = new long[vocabSize];
        for (int i = 0; i < vocabSize; ++i) {
            int bits = Float.floatToIntBits(logits[offset + i] + 0f);
            int rising = bits >= 0 ? bits : bits ^ Integer.MAX_VALUE;
            keys[i] = (long) ~rising << 32 | i;
        }
        Arrays.sort(keys);
        int kept = topK == 0 ? vocabSize : Math.min(topK, vocabSize);
        for (int i = 0; i < kept; ++i) {
            ids[i] = (int) keys[i];
        }
        return Arrays.copyOf(ids, kept);
    }

    /** Returns how many of the sorted candidates it takes to cover the share topP. */
    private int nucleus(double[] weights, double sum) {
        double covered = 0;
        for (int i = 0; i < weights.length; ++i) {
            covered += weights[i];
            if (covered >= topP * sum) {
                return i + 1;
            }
        }
        return weights.length;
    }
}
