/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.ArrayList;
import java.util.List;

/**
 * An axis of a chart.
 *
 * @param label what it shows, and in what unit
 * @param ticks the values that are written beside it, at least two of them, in order; the first and
 *     the last are its ends
 * @param logarithmic whether equal ratios, not equal differences, are equally long
 */
record ChartAxis(String label, List<Double> ticks, boolean logarithmic) {

    private static final int MOST_TICKS = 8;

    /** Returns an axis from 0 to at least a value, with round numbers. */
    static ChartAxis fromZero(String label, double to) {
        double rough = Math.max(to, 1e-9) / MOST_TICKS;
        double power = Math.pow(10, Math.floor(Math.log10(rough)));
        double step = power;
        for (double factor : new double[] {2, 5, 10}) {
            step = step < rough ? factor * power : step;
        }
        List<Double> ticks = new ArrayList<>();
        int last = Math.max(1, (int) Math.ceil(to / step - 1e-9));
        for (int i = 0; i <= last; ++i) {
            ticks.add(i * step);
        }
        return new ChartAxis(label, ticks, false);
    }

    /** Returns a logarithmic axis of powers of a base, around all values between two. */
    static ChartAxis powers(String label, double base, double from, double to) {
        int first = (int) Math.floor(Math.log(from) / Math.log(base) + 1e-9);
        int last = (int) Math.ceil(Math.log(to) / Math.log(base) - 1e-9);
        List<Double> ticks = new ArrayList<>();
        for (int i = first; i <= Math.max(first + 1, last); ++i) {
            ticks.add(Math.pow(base, i));
        }
        return new ChartAxis(label, ticks, true);
    }

    /** Returns where a value is, 0 at the first tick and 1 at the last; what is beyond, there. */
    double at(double value) {
        double low = scaled(ticks.get(0));
        double high = scaled(ticks.get(ticks.size() - 1));
        return Math.max(0, Math.min(1, (scaled(value) - low) / (high - low)));
    }

    private double scaled(double value) {
        return logarithmic ? Math.log(value) : value;
    }
}
