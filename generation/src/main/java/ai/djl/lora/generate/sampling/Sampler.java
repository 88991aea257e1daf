/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * Chooses the tokens of one sequence from the model's logits, in the steps that {@link
 * SamplingParameters} lists.
 *
 * <p>A sampler that draws takes exactly one random number for each token from a generator of its
 * own, so that what it chooses depends on nothing but its seed, the logits and the history it is
 * given. Not safe for use by several threads.
 */
public final class Sampler {

    private final SamplingParameters parameters;
    private final int[] endOfText;
    private final int[] endings;
    private final TokenConstraint constraint;
    private final SamplingWorkspace workspace;
    private final SplittableRandom random;

    /**
     * Constructs a new {@code Sampler} instance.
     *
     * @param parameters the parameters
     * @param endOfText the model's end-of-text tokens
     * @param constraint what follows the sequence's text, compiled from the parameters' constraint;
     *     null where they have none
     * @param workspace the buffers of the thread that samples
     */
    public Sampler(
            SamplingParameters parameters,
            Collection<Integer> endOfText,
            TokenConstraint constraint,
            SamplingWorkspace workspace) {
        if (parameters.constraint().isPresent() != (constraint != null)) {
            throw new IllegalArgumentException(
                    "constraint is "
                            + (constraint == null ? "null" : "given")
                            + " and the parameters' constraint is "
                            + (constraint == null ? "given" : "not")
                            + "; both or neither must be");
        }
        this.parameters = parameters;
        this.endOfText = endOfText.stream().mapToInt(Integer::intValue).toArray();
        this.endings =
                Stream.concat(
                                parameters.stopTokens().stream(),
                                parameters.ignoreEos() ? Stream.of() : endOfText.stream())
                        .mapToInt(Integer::intValue)
                        .toArray();
        this.constraint = constraint;
        this.workspace = workspace;
        this.random = new SplittableRandom(parameters.seed());
    }

    /**
     * Returns whether the next token needs {@link #sample}: without it the token is the greatest
     * logit's, of equal ones the one with the lowest id, and may be found wherever the logits lie.
     *
     * @return whether the logits are needed
     */
    public boolean needsLogits() {
        return parameters.temperature() > 0 || reportsLogProbs() || changesLogits();
    }

    /** Returns whether they were asked for, or are needed to choose the best of several answers. */
    private boolean reportsLogProbs() {
        return parameters.logProbs() >= 0 || parameters.bestOf() > parameters.n();
    }

    private boolean changesLogits() {
        return parameters.repetitionPenalty() != 1
                || parameters.presencePenalty() != 0
                || parameters.frequencyPenalty() != 0
                || !parameters.logitBias().isEmpty()
                || parameters.minNewTokens() > 0
                || constraint != null;
    }

    /**
     * Returns whether a constraint's text is complete, so that nothing but the end may follow; a
     * sequence ends here also where the model has no end-of-text token.
     *
     * @return whether it is; false without a constraint
     */
    public boolean isComplete() {
        return constraint != null && constraint.isComplete();
    }

    /**
     * Chooses the next token. The caller adds it to the history.
     *
     * @param logits the logits of many rows behind one another; they are left as they are
     * @param offset the first logit of this row
     * @param vocabSize the number of logits in the row
     * @param history the tokens before this one
     * @return the token, with the log-probabilities that were asked for
     * @throws LoraBackendException if a logit is NaN or infinite; negative infinity is allowed
     *     beside finite ones, for tokens that are ruled out
     * @throws LoraConfigurationException if the constraint allows no token of the vocabulary
     */
    public Sample sample(float[] logits, int offset, int vocabSize, History history) {
        int greatest = greatest(logits, offset, vocabSize);
        int token;
        if (changesLogits()) {
            float[] row = workspace.row(vocabSize);
            System.arraycopy(logits, offset, row, 0, vocabSize);
            change(row, vocabSize, history);
            token = choose(row, 0, vocabSize, greatest(row, 0, vocabSize));
        } else {
            token = choose(logits, offset, vocabSize, greatest);
        }
        if (constraint != null && !contains(endOfText, token)) {
            constraint.accept(token);
        }
        if (!reportsLogProbs()) {
            return new Sample(token, Float.NaN, List.of());
        }
        return withLogProbs(token, logits, offset, vocabSize, logits[offset + greatest]);
    }

    private int choose(float[] row, int offset, int vocabSize, int greatest) {
        if (parameters.temperature() == 0) {
            return greatest;
        }
        Candidates candidates = workspace.candidates();
        candidates.begin(row, offset, vocabSize, row[offset + greatest], parameters.temperature());
        if (parameters.topK() > 0 && parameters.topK() < vocabSize) {
            candidates.takeTop(parameters.topK());
            if (parameters.topP() < 1) {
                candidates.keepNucleus(parameters.topP());
            }
        } else if (parameters.topP() < 1) {
            candidates.takeNucleus(parameters.topP());
        } else if (parameters.minP() > 0) {
            candidates.takeLikely(parameters.minP());
        } else {
            candidates.takeAll();
        }
        if (parameters.minP() > 0) {
            candidates.keepLikely(parameters.minP());
        }
        if (parameters.typicalP() < 1) {
            candidates.keepTypical(parameters.typicalP());
        }
        return candidates.draw(random.nextDouble());
    }

    private void change(float[] row, int vocabSize, History history) {
        penalize(row, vocabSize, history);
        for (Map.Entry<Integer, Float> entry : parameters.logitBias().entrySet()) {
            int token = token("logitBias", entry.getKey(), vocabSize);
            row[token] = add(row[token], entry.getValue());
        }
        boolean early = history.generated() < parameters.minNewTokens();
        if (constraint != null) {
            mask(row, vocabSize, history, early);
        } else if (early) {
            for (int token : endings) {
                row[token("an end-of-text or stop token", token, vocabSize)] =
                        Float.NEGATIVE_INFINITY;
            }
        }
    }

    private void penalize(float[] row, int vocabSize, History history) {
        double repetition = parameters.repetitionPenalty();
        double presence = parameters.presencePenalty();
        double frequency = parameters.frequencyPenalty();
        if (repetition == 1 && presence == 0 && frequency == 0) {
            return;
        }
        for (int i = 0; i < history.distinct(); ++i) {
            int token = token("the history", history.token(i), vocabSize);
            double logit = row[token];
            // a token that is ruled out stays so
            if (logit != Float.NEGATIVE_INFINITY) {
                logit = logit < 0 ? logit * repetition : logit / repetition;
                int count = history.count(i);
                if (count > 0) {
                    logit -= presence + frequency * count;
                }
                row[token] = finite(logit);
            }
        }
    }

    private void mask(float[] row, int vocabSize, History history, boolean early) {
        long[] mask = workspace.mask(vocabSize);
        constraint.fillMask(mask);
        if (vocabSize % Long.SIZE != 0) {
            mask[mask.length - 1] &= (1L << vocabSize) - 1;
        }
        boolean mayEnd = constraint.mayEnd();
        for (int token : endOfText) {
            set(mask, token("an end-of-text token", token, vocabSize), mayEnd);
        }
        if (early) {
            withhold(mask, endings);
        }
        if (parameters.ignoreEos()) {
            withhold(mask, endOfText);
        }
        boolean any = false;
        for (int word = 0; word < mask.length; ++word) {
            int first = word * Long.SIZE;
            long ruledOut = ~mask[word];
            while (ruledOut != 0) {
                int token = first + Long.numberOfTrailingZeros(ruledOut);
                if (token >= vocabSize) {
                    break;
                }
                row[token] = Float.NEGATIVE_INFINITY;
                ruledOut &= ruledOut - 1;
            }
            for (long allowed = mask[word]; allowed != 0 && !any; allowed &= allowed - 1) {
                int token = first + Long.numberOfTrailingZeros(allowed);
                any = row[token] != Float.NEGATIVE_INFINITY;
            }
        }
        if (!any) {
            throw new LoraConfigurationException(
                    "the constraint allows no token of the vocabulary after "
                            + history.generated()
                            + " new tokens; the vocabulary must be able to write its texts");
        }
    }

    /** Takes tokens out, unless nothing else is left: a text that is complete has to end. */
    private static void withhold(long[] mask, int... tokens) {
        boolean[] were = new boolean[tokens.length];
        for (int i = 0; i < tokens.length; ++i) {
            were[i] = (mask[tokens[i] / Long.SIZE] & 1L << tokens[i]) != 0;
            set(mask, tokens[i], false);
        }
        for (long word : mask) {
            if (word != 0) {
                return;
            }
        }
        for (int i = 0; i < tokens.length; ++i) {
            set(mask, tokens[i], were[i]);
        }
    }

    private static void set(long[] mask, int token, boolean allowed) {
        if (allowed) {
            mask[token / Long.SIZE] |= 1L << token;
        } else {
            mask[token / Long.SIZE] &= ~(1L << token);
        }
    }

    private Sample withLogProbs(
            int token, float[] logits, int offset, int vocabSize, float greatest) {
        double sum = 0;
        for (int i = 0; i < vocabSize; ++i) {
            sum += Math.exp((double) logits[offset + i] - greatest);
        }
        double normalizer = greatest + Math.log(sum);
        List<TokenLogProb> top = new ArrayList<>();
        if (parameters.logProbs() > 0) {
            TopSelector selector = workspace.selector();
            int selected = selector.select(logits, offset, vocabSize, parameters.logProbs());
            for (int i = 0; i < selected; ++i) {
                int id = selector.index(i);
                top.add(new TokenLogProb(id, (float) (logits[offset + id] - normalizer)));
            }
        }
        return new Sample(token, (float) (logits[offset + token] - normalizer), List.copyOf(top));
    }

    /** Returns the lowest id among the greatest logits, as torch.argmax does. */
    private static int greatest(float[] logits, int offset, int vocabSize) {
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

    private static int token(String field, int token, int vocabSize) {
        if (token < 0 || token >= vocabSize) {
            throw new IllegalArgumentException(
                    field + " has token " + token + "; the row has " + vocabSize + " logits");
        }
        return token;
    }

    private static float add(float logit, float bias) {
        return logit == Float.NEGATIVE_INFINITY ? logit : finite((double) logit + bias);
    }

    /** Rounds to a float; a token that was possible stays so, and none becomes infinite. */
    private static float finite(double logit) {
        return (float) Math.max(-Float.MAX_VALUE, Math.min(Float.MAX_VALUE, logit));
    }

    private static boolean contains(int[] tokens, int token) {
        for (int each : tokens) {
            if (each == token) {
                return true;
            }
        }
        return false;
    }
}
