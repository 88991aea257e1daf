/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;

/** Values in order, of which any share can be told. */
final class Percentiles {

    private final double[] sorted;

    private Percentiles(double[] sorted) {
        this.sorted = sorted;
    }

    /** Takes values, of which there must be one at least. */
    static Percentiles of(DoubleStream values) {
        return new Percentiles(values.sorted().toArray());
    }

    /** Returns the median of values. */
    static double median(List<Double> values) {
        return of(values.stream().mapToDouble(Double::doubleValue)).at(0.5);
    }

    /**
     * Returns the value that a share of all are at most, straight between neighbours.
     *
     * @param share from 0 to 1
     */
    double at(double share) {
        double at = share * (sorted.length - 1);
        int below = (int) Math.floor(at);
        int above = (int) Math.ceil(at);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }

    /** Returns the percentiles that reports give. */
    Map<String, Object> report() {
        Map<String, Object> report = new LinkedHashMap<>();
        for (int percent : new int[] {50, 90, 99}) {
            report.put("p" + percent, at(percent / 100.0));
        }
        return report;
    }
}
