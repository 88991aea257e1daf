/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The memory of a process over the time of a run. */
final class MemoryTrend {

    private static final double KILO = 1000;
    private static final double MEBI = 1 << 20;

    private final List<Sample> samples = new ArrayList<>();

    /** What is in use at a time. */
    private record Sample(double minutes, double bytes) {}

    void add(double minutes, double bytes) {
        samples.add(new Sample(minutes, bytes));
    }

    /** Returns the samples from one part of the run to another, from 0 to 1. */
    MemoryTrend part(double from, double to) {
        MemoryTrend part = new MemoryTrend();
        int first = (int) (from * samples.size());
        part.samples.addAll(samples.subList(first, (int) (to * samples.size())));
        return part;
    }

    /** Returns the mean in bytes; there must be samples, as nothing would be flat too. */
    double mean() {
        return samples.stream().mapToDouble(Sample::bytes).average().orElseThrow();
    }

    /** Returns how much more it is each minute, in bytes, by least squares; needs samples too. */
    double perMinute() {
        double middle = samples.stream().mapToDouble(Sample::minutes).average().orElseThrow();
        double mean = mean();
        double together = 0;
        double square = 0;
        for (Sample sample : samples) {
            together += (sample.minutes - middle) * (sample.bytes - mean);
            square += (sample.minutes - middle) * (sample.minutes - middle);
        }
        return square == 0 ? 0 : together / square;
    }

    @Override
    public String toString() {
        if (samples.isEmpty()) {
            return "no samples";
        }
        return String.format(
                Locale.ROOT,
                "%d samples, MiB first %.1f, last %.1f, most %.1f, kB a minute %.0f, in the second"
                        + " half %.0f",
                samples.size(),
                samples.get(0).bytes / MEBI,
                samples.get(samples.size() - 1).bytes / MEBI,
                samples.stream().mapToDouble(Sample::bytes).max().orElseThrow() / MEBI,
                perMinute() / KILO,
                part(0.5, 1).perMinute() / KILO);
    }
}
