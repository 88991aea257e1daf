/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * How often each adapter was asked for of late, resident or not, over one or several horizons.
 *
 * <p>Over a horizon of h requests, a request that lies d requests back counts exp(-d / h). All
 * weights shrink alike, so their order changes only by requests: {@link #rank} is the logarithm of
 * a weight plus the age of the history over h, which stays as it is until the adapter is asked for
 * again and can therefore be the key of a heap.
 *
 * <p>When more adapters than the limit are remembered, the half that counts least over the longest
 * horizon is forgotten.
 */
final class FrequencyHistory {

    private final double[] horizons;
    private final int limit;
    private final Predicate<String> kept;
    private final Map<String, Count> counts = new HashMap<>();
    private final double[] before;
    private int nextPrune;
    private long now;

    /**
     * Constructs a new {@code FrequencyHistory} instance.
     *
     * @param limit the number of adapters to remember
     * @param kept which are never forgotten, by id: those that are resident
     * @param horizons the horizons in requests, ascending
     */
    FrequencyHistory(int limit, Predicate<String> kept, double... horizons) {
        this.limit = limit;
        this.kept = kept;
        this.horizons = horizons;
        before = new double[horizons.length];
        nextPrune = limit;
    }

    /**
     * Counts a request.
     *
     * @param id the adapter
     * @return its weights before this request, by horizon; the array is used again by the next call
     */
    double[] record(String id) {
        ++now;
        Count count = counts.computeIfAbsent(id, key -> new Count(horizons.length));
        for (int i = 0; i < horizons.length; ++i) {
            before[i] = count.weights[i] * Math.exp((count.last - now) / horizons[i]);
            count.weights[i] = before[i] + 1;
        }
        count.last = now;
        if (counts.size() > nextPrune) {
            prune();
        }
        return before;
    }

    /**
     * Returns what the adapters' weights can be ordered by.
     *
     * @param id the adapter
     * @param horizon the index of the horizon
     * @return the logarithm of the weight plus now / horizon, negative infinity for an unknown
     *     adapter
     */
    double rank(String id, int horizon) {
        Count count = counts.get(id);
        return count == null
                ? Double.NEGATIVE_INFINITY
                : Math.log(count.weights[horizon]) + count.last / horizons[horizon];
    }

    /**
     * Returns when an adapter was last asked for.
     *
     * @param id the adapter
     * @return the number of the request, counted from 1; 0 for an unknown adapter
     */
    long last(String id) {
        Count count = counts.get(id);
        return count == null ? 0 : count.last;
    }

    /** Returns the number of requests counted. */
    long now() {
        return now;
    }

    /** Returns the number of adapters remembered. */
    int size() {
        return counts.size();
    }

    private void prune() {
        List<String> ids = new ArrayList<>();
        for (String id : counts.keySet()) {
            if (!kept.test(id)) {
                ids.add(id);
            }
        }
        int longest = horizons.length - 1;
        ids.sort(Comparator.comparingDouble(id -> rank(id, longest)));
        ids.subList(0, (ids.size() + 1) / 2).forEach(counts::remove);
        // Where most are kept anyway, pruning again at once would find nothing.
        nextPrune = Math.max(limit, counts.size() + limit / 2);
    }

    /** The weights at the time of the last request. */
    private static final class Count {

        private final double[] weights;
        private long last;

        Count(int horizons) {
            weights = new double[horizons];
        }
    }
}
