/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

/**
 * Gathers how far computed logits lie from golden ones.
 *
 * <p>A computed value that is not finite counts as infinitely far away.
 */
public final class Comparison {

    private double largestAbsolute;
    private double largestRelative;
    private long positions;
    private long sameTop;
    private long count;
    private double sum;
    private double sumOfSquares;
    private double sumOfSquaredErrors;

    /**
     * Adds positions.
     *
     * @param computed computed logits [positions * vocabulary]
     * @param golden golden logits of the same shape, finite
     * @param vocabulary the number of logits at each position
     */
    public void add(float[] computed, float[] golden, int vocabulary) {
        if (computed.length != golden.length || golden.length % vocabulary != 0) {
            throw new IllegalArgumentException(
                    computed.length + " and " + golden.length + " logits of " + vocabulary);
        }
        for (int start = 0; start < golden.length; start += vocabulary) {
            ++positions;
            if (top(computed, start, vocabulary) == top(golden, start, vocabulary)) {
                ++sameTop;
            }
            for (int i = start; i < start + vocabulary; ++i) {
                add(computed[i], golden[i]);
            }
        }
    }

    private void add(double computed, double golden) {
        double error = Math.abs(computed - golden);
        if (Double.isNaN(error)) {
            error = Double.POSITIVE_INFINITY;
        }
        largestAbsolute = Math.max(largestAbsolute, error);
        if (golden != 0) {
            largestRelative = Math.max(largestRelative, error / Math.abs(golden));
        }
        ++count;
        sum += golden;
        sumOfSquares += golden * golden;
        sumOfSquaredErrors += error * error;
    }

    /**
     * Returns the largest absolute difference.
     *
     * @return the difference
     */
    public double largestAbsolute() {
        return largestAbsolute;
    }

    /**
     * Returns the largest relative difference, to the golden value where that is not zero.
     *
     * @return the difference
     */
    public double largestRelative() {
        return largestRelative;
    }

    /**
     * Returns the number of positions.
     *
     * @return the number
     */
    public long positions() {
        return positions;
    }

    /**
     * Returns at how many positions the largest logit is that of the same token.
     *
     * @return the number
     */
    public long sameTop() {
        return sameTop;
    }

    /**
     * Returns the share of positions at which the largest logit is that of the same token.
     *
     * @return the share, 0 to 1
     */
    public double sameTopShare() {
        return (double) sameTop / positions;
    }

    /**
     * Returns the root of the mean squared difference.
     *
     * @return the error
     */
    public double rmsError() {
        return Math.sqrt(sumOfSquaredErrors / count);
    }

    /**
     * Returns the root of the mean squared difference, as a part of the golden logits' standard
     * deviation.
     *
     * @return the error
     */
    public double relativeRmsError() {
        double mean = sum / count;
        double deviation = Math.sqrt(Math.max(0, sumOfSquares / count - mean * mean));
        return rmsError() == 0 ? 0 : rmsError() / deviation;
    }

    private static int top(float[] logits, int start, int count) {
        int top = 0;
        for (int i = 1; i < count; ++i) {
            if (logits[start + i] > logits[start + top]) {
                top = i;
            }
        }
        return top;
    }
}
