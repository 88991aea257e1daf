/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What came of the requests of a load, counted by many threads. */
final class LoadTally {

    private final Map<String, Integer> outcomes = new TreeMap<>();
    private final List<String> defects = new ArrayList<>();
    private final List<Double> firstMillis = new ArrayList<>();

    synchronized void count(String outcome) {
        outcomes.merge(outcome, 1, Integer::sum);
    }

    synchronized void first(double millis) {
        firstMillis.add(millis);
    }

    /** Notes what must not happen. */
    synchronized void defect(String what) {
        outcomes.merge("defect", 1, Integer::sum);
        if (defects.size() < 20) {
            defects.add(what);
        }
    }

    synchronized List<String> defects() {
        return List.copyOf(defects);
    }

    synchronized int of(String outcome) {
        return outcomes.getOrDefault(outcome, 0);
    }

    /** Returns a percentile of the times to the first token, in milliseconds. */
    synchronized double first(int percent) {
        List<Double> sorted = new ArrayList<>(firstMillis);
        sorted.sort(null);
        return sorted.isEmpty() ? Double.NaN : sorted.get((sorted.size() - 1) * percent / 100);
    }

    @Override
    public synchronized String toString() {
        return outcomes
                + ", first token ms: p50 "
                + Math.round(first(50))
                + ", p90 "
                + Math.round(first(90))
                + ", p99 "
                + Math.round(first(99));
    }
}
