/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Times several pieces of work in turns, so that a machine that slows down for a while slows all of
 * them down, and compares them round by round.
 */
final class Interleaved {

    private final Map<String, Runnable> work = new LinkedHashMap<>();
    private final Map<String, double[]> seconds = new LinkedHashMap<>();

    /**
     * Adds a piece of work.
     *
     * @param name its name
     * @param piece the work; what it does not time itself is timed whole
     * @return this object
     */
    Interleaved add(String name, Runnable piece) {
        work.put(name, piece);
        return this;
    }

    /**
     * Runs every piece once to warm up, and then once in every round.
     *
     * @param rounds the number of counted rounds
     * @return this object
     */
    Interleaved run(int rounds) {
        work.values().forEach(Runnable::run);
        work.keySet().forEach(name -> seconds.put(name, new double[rounds]));
        for (int round = 0; round < rounds; ++round) {
            for (Map.Entry<String, Runnable> entry : work.entrySet()) {
                long start = System.nanoTime();
                entry.getValue().run();
                seconds.get(entry.getKey())[round] = (System.nanoTime() - start) * 1e-9;
            }
        }
        return this;
    }

    /** Returns the median time of a piece in seconds. */
    double median(String name) {
        return median(seconds.get(name));
    }

    /** Returns the median over the rounds of how many times as long one piece took as another. */
    double ratio(String numerator, String denominator) {
        double[] above = seconds.get(numerator);
        double[] below = seconds.get(denominator);
        double[] ratios = new double[above.length];
        for (int i = 0; i < ratios.length; ++i) {
            ratios[i] = above[i] / below[i];
        }
        return median(ratios);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
