/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * How the tokens of one request are chosen; immutable, and checked when it is built.
 *
 * <p>For each token the row of logits goes through these steps, in this order, as in Hugging Face
 * transformers 4.57 ({@code generation/logits_process.py}); what transformers lacks stands between
 * its penalties and its warpers:
 *
 * <ol>
 *   <li>repetition penalty, over the tokens of the prompt and the new ones,
 *   <li>frequency and presence penalty, over the new tokens, as OpenAI's API documents them,
 *   <li>logit bias,
 *   <li>the tokens that are ruled out: end-of-text and stop tokens before {@code minNewTokens}, and
 *       what the constraint does not allow; where it allows nothing but the end, that comes in any
 *       case,
 *   <li>greedy decoding takes the greatest logit here; otherwise temperature,
 *   <li>top-k, top-p, min-p and typical-p, each over the renormalised rest of the one before,
 *   <li>one draw from what is left.
 * </ol>
 *
 * <p>Log-probabilities are those of the model's own logits, before the first of these steps, so
 * that they mean the same whatever the parameters are.
 */
public final class SamplingParameters {

    /** The most alternatives whose log-probabilities may be asked for with each token. */
    public static final int MAX_LOG_PROBS = 20;

    /** The most answers to one request. */
    public static final int MAX_CHOICES = 128;

    private static final int MAX_BIAS = 100;

    private final double temperature;
    private final int topK;
    private final double topP;
    private final double minP;
    private final double typicalP;
    private final double repetitionPenalty;
    private final double presencePenalty;
    private final double frequencyPenalty;
    private final Map<Integer, Float> logitBias;
    private final long seed;
    private final int maxNewTokens;
    private final int minNewTokens;
    private final boolean ignoreEos;
    private final Set<Integer> stopTokens;
    private final List<String> stopStrings;
    private final int logProbs;
    private final int n;
    private final int bestOf;
    private final OutputConstraint constraint;

    private SamplingParameters(Builder builder) {
        temperature = builder.temperature;
        topK = builder.topK;
        topP = builder.topP;
        minP = builder.minP;
        typicalP = builder.typicalP;
        repetitionPenalty = builder.repetitionPenalty;
        presencePenalty = builder.presencePenalty;
        frequencyPenalty = builder.frequencyPenalty;
        logitBias = builder.logitBias;
        seed = builder.seed;
        maxNewTokens = builder.maxNewTokens;
        minNewTokens = builder.minNewTokens;
        ignoreEos = builder.ignoreEos;
        stopTokens = builder.stopTokens;
        stopStrings = builder.stopStrings;
        logProbs = builder.logProbs;
        n = builder.n;
        bestOf = builder.bestOf == 0 ? builder.n : builder.bestOf;
        constraint = builder.constraint;
    }

    /**
     * Returns the parameters of greedy decoding.
     *
     * @param maxNewTokens the number of tokens to generate at most
     * @return the parameters
     * @throws LoraConfigurationException if the number is below 1
     */
    public static SamplingParameters greedy(int maxNewTokens) {
        return builder().maxNewTokens(maxNewTokens).build();
    }

    /**
     * Returns the parameters of a draw from all tokens.
     *
     * @param temperature the divisor of the logits; 0 for greedy decoding
     * @param seed the seed of the request's own random generator
     * @param maxNewTokens the number of tokens to generate at most
     * @return the parameters
     * @throws LoraConfigurationException naming the first value that is out of its range
     */
    public static SamplingParameters of(double temperature, long seed, int maxNewTokens) {
        return of(temperature, 0, 1, seed, maxNewTokens);
    }

    /**
     * Returns the parameters of a draw from the most likely tokens.
     *
     * @param temperature the divisor of the logits; 0 for greedy decoding
     * @param topK how many of the most likely tokens may be drawn; 0 for all
     * @param topP the share of probability that the drawn tokens cover; 1 for all
     * @param seed the seed of the request's own random generator
     * @param maxNewTokens the number of tokens to generate at most
     * @return the parameters
     * @throws LoraConfigurationException naming the first value that is out of its range
     */
    public static SamplingParameters of(
            double temperature, int topK, double topP, long seed, int maxNewTokens) {
        return builder()
                .temperature(temperature)
                .topK(topK)
                .topP(topP)
                .seed(seed)
                .maxNewTokens(maxNewTokens)
                .build();
    }

    /**
     * Returns a builder of greedy decoding of at most 16 tokens.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns a builder with these values.
     *
     * @return the builder
     */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.temperature = temperature;
        builder.topK = topK;
        builder.topP = topP;
        builder.minP = minP;
        builder.typicalP = typicalP;
        builder.repetitionPenalty = repetitionPenalty;
        builder.presencePenalty = presencePenalty;
        builder.frequencyPenalty = frequencyPenalty;
        builder.logitBias = logitBias;
        builder.seed = seed;
        builder.maxNewTokens = maxNewTokens;
        builder.minNewTokens = minNewTokens;
        builder.ignoreEos = ignoreEos;
        builder.stopTokens = stopTokens;
        builder.stopStrings = stopStrings;
        builder.logProbs = logProbs;
        builder.n = n;
        // as n, if it is: a builder's n may change
        builder.bestOf = bestOf == n ? 0 : bestOf;
        builder.constraint = constraint;
        return builder;
    }

    /**
     * Returns the divisor of the logits before the softmax.
     *
     * @return the temperature; 0 for greedy decoding
     */
    public double temperature() {
        return temperature;
    }

    /**
     * Returns how many of the most likely tokens may be drawn.
     *
     * @return the number; 0 for all
     */
    public int topK() {
        return topK;
    }

    /**
     * Returns the share of probability that the drawn tokens cover at least, counted from the most
     * likely one (nucleus sampling, arXiv 1904.09751).
     *
     * @return the share, in (0, 1]; 1 for all
     */
    public double topP() {
        return topP;
    }

    /**
     * Returns the least probability of a drawn token, as a share of the most likely one's (arXiv
     * 2407.01082).
     *
     * @return the share, in [0, 1]; 0 for all
     */
    public double minP() {
        return minP;
    }

    /**
     * Returns the share of probability that the drawn tokens cover, counted from the one whose
     * surprise is nearest to the distribution's entropy (locally typical sampling, arXiv
     * 2202.00666).
     *
     * @return the share, in (0, 1]; 1 for all
     */
    public double typicalP() {
        return typicalP;
    }

    /**
     * Returns what the logits of tokens that occurred, in the prompt too, are divided by where
     * positive and multiplied by where negative (arXiv 1909.05858).
     *
     * @return the penalty; 1 for none
     */
    public double repetitionPenalty() {
        return repetitionPenalty;
    }

    /**
     * Returns what is taken once from the logit of each token that was generated.
     *
     * @return the penalty, in [-2, 2]; 0 for none
     */
    public double presencePenalty() {
        return presencePenalty;
    }

    /**
     * Returns what is taken from a token's logit for each time that it was generated.
     *
     * @return the penalty, in [-2, 2]; 0 for none
     */
    public double frequencyPenalty() {
        return frequencyPenalty;
    }

    /**
     * Returns what is added to the logits of single tokens.
     *
     * @return the additions, in [-100, 100], by token id; cannot be changed
     */
    public Map<Integer, Float> logitBias() {
        return logitBias;
    }

    /**
     * Returns the seed of the request's own random generator.
     *
     * @return the seed
     */
    public long seed() {
        return seed;
    }

    /**
     * Returns the number of tokens to generate at most.
     *
     * @return the number, at least 1
     */
    public int maxNewTokens() {
        return maxNewTokens;
    }

    /**
     * Returns the number of tokens before which neither end-of-text nor a stop token is chosen.
     *
     * @return the number; 0 for none
     */
    public int minNewTokens() {
        return minNewTokens;
    }

    /**
     * Returns whether an end-of-text token is a token like others, behind which generation goes on.
     * Beside a constraint, where it is no text, the text goes on as long as the constraint lets it.
     *
     * @return whether it is
     */
    public boolean ignoreEos() {
        return ignoreEos;
    }

    /**
     * Returns the tokens that end the text beside the model's end-of-text tokens.
     *
     * @return the token ids; cannot be changed
     */
    public Set<Integer> stopTokens() {
        return stopTokens;
    }

    /**
     * Returns the strings that end the text. Whoever decodes the tokens looks for them.
     *
     * @return the strings, none empty; cannot be changed
     */
    public List<String> stopStrings() {
        return stopStrings;
    }

    /**
     * Returns how many of the most likely tokens are reported with each token.
     *
     * @return the number, up to {@value #MAX_LOG_PROBS}; 0 for the chosen token's log-probability
     *     alone, -1 for no log-probabilities
     */
    public int logProbs() {
        return logProbs;
    }

    /**
     * Returns the number of answers to return.
     *
     * @return the number, at least 1
     */
    public int n() {
        return n;
    }

    /**
     * Returns the number of answers to generate, of which the {@code n} most likely are returned.
     *
     * @return the number, at least {@link #n()}
     */
    public int bestOf() {
        return bestOf;
    }

    /**
     * Returns what the whole text must look like.
     *
     * @return the constraint, if there is one
     */
    public Optional<OutputConstraint> constraint() {
        return Optional.ofNullable(constraint);
    }

    /**
     * Returns the seed of one of several answers to a request: the answers of one request draw
     * independently of each other, and the first is what a request for a single answer draws.
     *
     * @param choice which answer, from 0
     * @return the seed
     */
    public long choiceSeed(int choice) {
        if (choice < 0) {
            throw new IllegalArgumentException("choice is " + choice + "; it must be 0 or more");
        }
        if (choice == 0) {
            return seed;
        }
        // Neighbouring seeds of one generator would be shifted copies of one stream.
        SplittableRandom seeds = new SplittableRandom(seed).split();
        long choiceSeed = 0;
        for (int i = 0; i < choice; ++i) {
            choiceSeed = seeds.nextLong();
        }
        return choiceSeed;
    }

    /**
     * Checks that the tokens that are named here are a model's.
     *
     * @param vocabSize the number of tokens that the model knows
     * @throws LoraConfigurationException naming the first token that is not
     */
    public void checkVocabulary(int vocabSize) {
        for (int token : logitBias.keySet()) {
            checkToken("logitBias", token, vocabSize);
        }
        for (int token : stopTokens) {
            checkToken("stopTokens", token, vocabSize);
        }
    }

    private static void checkToken(String field, int token, int vocabSize) {
        if (token >= vocabSize) {
            throw new LoraConfigurationException(
                    field
                            + " names token "
                            + token
                            + "; the model's vocabulary is 0 to "
                            + (vocabSize - 1));
        }
    }

    private List<Object> values() {
        return Arrays.asList(
                temperature,
                topK,
                topP,
                minP,
                typicalP,
                repetitionPenalty,
                presencePenalty,
                frequencyPenalty,
                logitBias,
                seed,
                maxNewTokens,
                minNewTokens,
                ignoreEos,
                stopTokens,
                stopStrings,
                logProbs,
                n,
                bestOf,
                constraint);
    }

    /** {@inheritDoc} */
    @Override
    public boolean equals(Object other) {
        return other instanceof SamplingParameters that && values().equals(that.values());
    }

    /** {@inheritDoc} */
    @Override
    public int hashCode() {
        return values().hashCode();
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return "SamplingParameters" + values();
    }

    /** Builds {@link SamplingParameters}; its defaults are greedy decoding of 16 tokens. */
    public static final class Builder {

        private double temperature;
        private int topK;
        private double topP = 1;
        private double minP;
        private double typicalP = 1;
        private double repetitionPenalty = 1;
        private double presencePenalty;
        private double frequencyPenalty;
        private Map<Integer, Float> logitBias = Map.of();
        private long seed;
        private int maxNewTokens = 16;
        private int minNewTokens;
        private boolean ignoreEos;
        private Set<Integer> stopTokens = Set.of();
        private List<String> stopStrings = List.of();
        private int logProbs = -1;
        private int n = 1;
        private int bestOf;
        private OutputConstraint constraint;

        private Builder() {}

        /**
         * Sets the divisor of the logits before the softmax.
         *
         * @param value a finite number; 0, the default, takes the most likely token each time
         * @return this builder
         */
        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        /**
         * Sets how many of the most likely tokens may be drawn; of equal ones the lowest ids.
         *
         * @param value the number; 0, the default, for all
         * @return this builder
         */
        public Builder topK(int value) {
            topK = value;
            return this;
        }

        /**
         * Sets the share of probability that the drawn tokens cover at least.
         *
         * @param value the share, in (0, 1]; 1, the default, for all
         * @return this builder
         */
        public Builder topP(double value) {
            topP = value;
            return this;
        }

        /**
         * Sets the least probability of a drawn token, as a share of the most likely one's.
         *
         * @param value the share, in [0, 1]; 0, the default, for all
         * @return this builder
         */
        public Builder minP(double value) {
            minP = value;
            return this;
        }

        /**
         * Sets the share of probability that the most typical tokens cover.
         *
         * @param value the share, in (0, 1]; 1, the default, for all
         * @return this builder
         */
        public Builder typicalP(double value) {
            typicalP = value;
            return this;
        }

        /**
         * Sets the penalty of tokens that occurred in the prompt or the text.
         *
         * @param value a finite number above 0; above 1 discourages, 1 is the default
         * @return this builder
         */
        public Builder repetitionPenalty(double value) {
            repetitionPenalty = value;
            return this;
        }

        /**
         * Sets the penalty of tokens that were generated.
         *
         * @param value what is taken from the logit, in [-2, 2]; 0 is the default
         * @return this builder
         */
        public Builder presencePenalty(double value) {
            presencePenalty = value;
            return this;
        }

        /**
         * Sets the penalty of a token for each time that it was generated.
         *
         * @param value what is taken from the logit, in [-2, 2]; 0 is the default
         * @return this builder
         */
        public Builder frequencyPenalty(double value) {
            frequencyPenalty = value;
            return this;
        }

        /**
         * Sets what is added to the logits of single tokens.
         *
         * @param value the additions, in [-100, 100], by token id; the default is none
         * @return this builder
         */
        public Builder logitBias(Map<Integer, Float> value) {
            logitBias = Collections.unmodifiableMap(new TreeMap<>(value));
            return this;
        }

        /**
         * Sets the seed of the request's own random generator.
         *
         * @param value the seed; 0 is the default
         * @return this builder
         */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /**
         * Sets the number of tokens to generate at most.
         *
         * @param value the number, at least 1; 16 is the default
         * @return this builder
         */
        public Builder maxNewTokens(int value) {
            maxNewTokens = value;
            return this;
        }

        /**
         * Sets the number of tokens before which neither end-of-text nor a stop token is chosen.
         *
         * @param value the number, at most {@code maxNewTokens}; 0 is the default
         * @return this builder
         */
        public Builder minNewTokens(int value) {
            minNewTokens = value;
            return this;
        }

        /**
         * Sets whether generation goes on behind end-of-text tokens; beside a constraint, whether
         * it goes on as long as the constraint lets it.
         *
         * @param value whether it does; false is the default
         * @return this builder
         */
        public Builder ignoreEos(boolean value) {
            ignoreEos = value;
            return this;
        }

        /**
         * Sets the tokens that end the text beside the model's end-of-text tokens.
         *
         * @param value the token ids; the default is none
         * @return this builder
         */
        public Builder stopTokens(Set<Integer> value) {
            stopTokens = Collections.unmodifiableSet(new TreeSet<>(value));
            return this;
        }

        /**
         * Sets the strings that end the text.
         *
         * @param value the strings, none empty; the default is none
         * @return this builder
         */
        public Builder stopStrings(List<String> value) {
            stopStrings = Collections.unmodifiableList(new ArrayList<>(value));
            return this;
        }

        /**
         * Sets how many of the most likely tokens are reported with each token.
         *
         * @param value the number, up to {@value #MAX_LOG_PROBS}; 0 for the chosen token alone, -1,
         *     the default, for no log-probabilities
         * @return this builder
         */
        public Builder logProbs(int value) {
            logProbs = value;
            return this;
        }

        /**
         * Sets the number of answers to return.
         *
         * @param value the number, from 1, the default, to {@value #MAX_CHOICES}
         * @return this builder
         */
        public Builder n(int value) {
            n = value;
            return this;
        }

        /**
         * Sets the number of answers to generate, of which the most likely are returned.
         *
         * @param value the number, from {@code n} to {@value #MAX_CHOICES}; 0, the default, for
         *     {@code n}
         * @return this builder
         */
        public Builder bestOf(int value) {
            bestOf = value;
            return this;
        }

        /**
         * Sets what the whole text must look like.
         *
         * @param value the constraint; null, the default, for none
         * @return this builder
         */
        public Builder constraint(OutputConstraint value) {
            constraint = value;
            return this;
        }

        /**
         * Builds the parameters.
         *
         * @return the parameters
         * @throws LoraConfigurationException naming the first value that is out of its range
         */
        public SamplingParameters build() {
            check(maxNewTokens >= 1, "maxNewTokens", maxNewTokens, "1 or more");
            check(
                    temperature >= 0 && Double.isFinite(temperature),
                    "temperature",
                    temperature,
                    "0 (greedy) or a finite number above");
            check(topK >= 0, "topK", topK, "0 (all tokens) or more");
            check(topP > 0 && topP <= 1, "topP", topP, "above 0 and at most 1 (all tokens)");
            check(minP >= 0 && minP <= 1, "minP", minP, "between 0 (all tokens) and 1");
            check(
                    typicalP > 0 && typicalP <= 1,
                    "typicalP",
                    typicalP,
                    "above 0 and at most 1 (all tokens)");
            check(
                    repetitionPenalty > 0 && Double.isFinite(repetitionPenalty),
                    "repetitionPenalty",
                    repetitionPenalty,
                    "a finite number above 0 (1 for none)");
            checkPenalty("presencePenalty", presencePenalty);
            checkPenalty("frequencyPenalty", frequencyPenalty);
            checkTokens();
            check(
                    minNewTokens >= 0 && minNewTokens <= maxNewTokens,
                    "minNewTokens",
                    minNewTokens,
                    "between 0 and maxNewTokens, which is " + maxNewTokens);
            check(
                    logProbs >= -1 && logProbs <= MAX_LOG_PROBS,
                    "logProbs",
                    logProbs,
                    "between -1 (none) and " + MAX_LOG_PROBS);
            check(n >= 1 && n <= MAX_CHOICES, "n", n, "between 1 and " + MAX_CHOICES);
            check(
                    bestOf == 0 || bestOf >= n && bestOf <= MAX_CHOICES,
                    "bestOf",
                    bestOf,
                    "0 (as n) or between n, which is " + n + ", and " + MAX_CHOICES);
            return new SamplingParameters(this);
        }

        private void checkTokens() {
            for (Map.Entry<Integer, Float> entry : logitBias.entrySet()) {
                int token = entry.getKey();
                check(token >= 0, "a token of logitBias", token, "0 or more");
                float bias = entry.getValue();
                check(
                        bias >= -MAX_BIAS && bias <= MAX_BIAS,
                        "logitBias of token " + token,
                        bias,
                        "between -" + MAX_BIAS + " and " + MAX_BIAS);
            }
            for (int token : stopTokens) {
                check(token >= 0, "a token of stopTokens", token, "0 or more");
            }
            for (String stop : stopStrings) {
                check(
                        stop != null && !stop.isEmpty(),
                        "a string of stopStrings",
                        stop == null ? "null" : Message.quote(stop),
                        "a text that is not empty");
            }
        }

        private static void checkPenalty(String field, double value) {
            check(value >= -2 && value <= 2, field, value, "between -2 and 2 (0 for none)");
        }

        private static void check(boolean allowed, String field, Object value, String range) {
            if (!allowed) {
                throw new LoraConfigurationException(
                        field + " is " + value + "; it must be " + range);
            }
        }
    }
}
