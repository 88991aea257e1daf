/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Reads sampling parameters under the names that requests and model arguments use for them. */
final class SamplingArguments {

    static final String MAX_NEW_TOKENS = "max_new_tokens";
    static final String TEMPERATURE = "temperature";
    static final String TOP_K = "top_k";
    static final String TOP_P = "top_p";
    static final String SEED = "seed";

    static final String MIN_NEW_TOKENS = "min_new_tokens";
    static final String MIN_P = "min_p";
    static final String TYPICAL_P = "typical_p";
    static final String REPETITION_PENALTY = "repetition_penalty";
    static final String PRESENCE_PENALTY = "presence_penalty";
    static final String FREQUENCY_PENALTY = "frequency_penalty";

    /** The names, all of whose values are numbers. */
    static final List<String> NAMES =
            List.of(
                    MAX_NEW_TOKENS,
                    MIN_NEW_TOKENS,
                    TEMPERATURE,
                    TOP_K,
                    TOP_P,
                    MIN_P,
                    TYPICAL_P,
                    REPETITION_PENALTY,
                    PRESENCE_PENALTY,
                    FREQUENCY_PENALTY,
                    SEED);

    private final Map<String, BigDecimal> values;
    private final String prefix;

    /**
     * Constructs a new {@code SamplingArguments} instance.
     *
     * @param values the values that are given, by name
     * @param prefix what stands before a name in messages
     */
    SamplingArguments(Map<String, BigDecimal> values, String prefix) {
        this.values = values;
        this.prefix = prefix;
    }

    /**
     * Returns the parameters.
     *
     * @param defaults the values of what is not given
     * @return the parameters
     * @throws LoraConfigurationException if a whole number is needed and another is given, or a
     *     value is out of its range
     */
    SamplingParameters over(SamplingParameters defaults) {
        return defaults.toBuilder()
                .temperature(get(TEMPERATURE, BigDecimal::doubleValue, defaults.temperature()))
                .topK(get(TOP_K, BigDecimal::intValueExact, defaults.topK()))
                .topP(get(TOP_P, BigDecimal::doubleValue, defaults.topP()))
                .minP(get(MIN_P, BigDecimal::doubleValue, defaults.minP()))
                .typicalP(get(TYPICAL_P, BigDecimal::doubleValue, defaults.typicalP()))
                .repetitionPenalty(
                        get(
                                REPETITION_PENALTY,
                                BigDecimal::doubleValue,
                                defaults.repetitionPenalty()))
                .presencePenalty(
                        get(PRESENCE_PENALTY, BigDecimal::doubleValue, defaults.presencePenalty()))
                .frequencyPenalty(
                        get(
                                FREQUENCY_PENALTY,
                                BigDecimal::doubleValue,
                                defaults.frequencyPenalty()))
                .minNewTokens(
                        get(MIN_NEW_TOKENS, BigDecimal::intValueExact, defaults.minNewTokens()))
                .seed(get(SEED, BigDecimal::longValueExact, defaults.seed()))
                .maxNewTokens(
                        get(MAX_NEW_TOKENS, BigDecimal::intValueExact, defaults.maxNewTokens()))
                .build();
    }

    private <T> T get(String name, Function<BigDecimal, T> conversion, T defaultValue) {
        BigDecimal value = values.get(name);
        if (value == null) {
            return defaultValue;
        }
        try {
            return conversion.apply(value);
        } catch (ArithmeticException e) {
            String bits = SEED.equals(name) ? "64" : "32";
            throw new LoraConfigurationException(
                    prefix
                            + name
                            + " is "
                            + value
                            + "; a whole number of "
                            + bits
                            + " bits is needed",
                    e);
        }
    }
}
