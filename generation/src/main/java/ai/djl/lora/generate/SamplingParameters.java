/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;

/**
 * How the tokens of one request are chosen. The values are checked when a request is generated,
 * where the request can be named, or by {@link #validate}.
 *
 * @param temperature the divisor of the logits before the softmax; 0 takes the most likely token
 *     each time (greedy decoding)
 * @param topK how many of the most likely tokens may be drawn; 0 for all
 * @param topP the share of probability, in (0, 1], that the drawn tokens cover at least, counted
 *     from the most likely one (nucleus sampling, arXiv 1904.09751); 1 for all
 * @param seed the seed of the request's own random generator
 * @param maxNewTokens the number of tokens to generate at most, at least 1
 */
public record SamplingParameters(
        double temperature, int topK, double topP, long seed, int maxNewTokens) {

    /**
     * Constructs a new {@code SamplingParameters} instance that draws from all tokens.
     *
     * @param temperature the divisor of the logits; 0 for greedy decoding
     * @param seed the seed of the request's own random generator
     * @param maxNewTokens the number of tokens to generate at most
     */
    public SamplingParameters(double temperature, long seed, int maxNewTokens) {
        this(temperature, 0, 1, seed, maxNewTokens);
    }

    /**
     * Returns the parameters of greedy decoding.
     *
     * @param maxNewTokens the number of tokens to generate at most
     * @return the parameters
     */
    public static SamplingParameters greedy(int maxNewTokens) {
        return new SamplingParameters(0, 0, maxNewTokens);
    }

    /**
     * Checks the values.
     *
     * @throws LoraConfigurationException naming the first that is out of its range
     */
    public void validate() {
        if (maxNewTokens < 1) {
            throw new LoraConfigurationException(
                    "maxNewTokens is " + maxNewTokens + "; it must be 1 or more");
        }
        if (!(temperature >= 0) || Double.isInfinite(temperature)) {
            throw new LoraConfigurationException(
                    "temperature is "
                            + temperature
                            + "; it must be 0 (greedy) or a finite number above");
        }
        if (topK < 0) {
            throw new LoraConfigurationException(
                    "topK is " + topK + "; it must be 0 (all tokens) or more");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new LoraConfigurationException(
                    "topP is " + topP + "; it must be above 0 and at most 1 (all tokens)");
        }
    }
}
