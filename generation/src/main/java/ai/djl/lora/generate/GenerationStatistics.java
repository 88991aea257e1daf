/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

/**
 * How far the generation of a batch has come, and how long its steps took.
 *
 * @param rows the number of requests
 * @param finishedRows the number of requests that are answered
 * @param prefillTokens the number of prompt tokens that were run
 * @param prefillNanos the time of the steps that ran prompts, in nanoseconds
 * @param generatedTokens the number of new tokens
 * @param decodeTokens the number of new tokens that decode steps made: all but each row's first,
 *     which its prompt's step makes
 * @param decodeNanos the time of the decode steps, in nanoseconds
 */
public record GenerationStatistics(
        int rows,
        int finishedRows,
        long prefillTokens,
        long prefillNanos,
        long generatedTokens,
        long decodeTokens,
        long decodeNanos) {

    /**
     * Returns the speed of prefill.
     *
     * @return prompt tokens per second, 0 before the first step
     */
    public double prefillTokensPerSecond() {
        return perSecond(prefillTokens, prefillNanos);
    }

    /**
     * Returns the speed of decoding, over all rows together.
     *
     * @return new tokens per second, 0 before the first decode step
     */
    public double decodeTokensPerSecond() {
        return perSecond(decodeTokens, decodeNanos);
    }

    private static double perSecond(long tokens, long nanos) {
        return nanos == 0 ? 0 : tokens * 1e9 / nanos;
    }
}
