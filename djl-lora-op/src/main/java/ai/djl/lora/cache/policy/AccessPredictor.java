/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Foretells which adapters are asked for next: those that tend to follow what was asked for last,
 * more often than their frequency of late would have it. Time is the number of requests, so that a
 * trace always gives the same forecasts; what is remembered is bounded.
 *
 * <p>All methods may be called from several threads.
 */
public final class AccessPredictor {

    private static final int REMEMBERED = 1 << 14;
    private static final int HORIZON = 4096;

    /** An adapter follows another if it is asked for within so many requests. */
    private static final int WINDOW = 4;

    /** So many followers of an adapter are counted. */
    private static final int FOLLOWERS = 8;

    /** After so many, counts are halved, so that what has changed is forgotten. */
    private static final int HALVE_AT = 64;

    /** So many times likelier than by its frequency alone an adapter must be to follow another. */
    private static final double LIFT = 2;

    /** So many more times an adapter counts as not followed: few occasions are no evidence. */
    private static final int DOUBT = 4;

    /** An adapter that was asked for less often tells nothing of what follows it. */
    private static final int LEAST_SEEN = 3;

    private final FrequencyHistory history = new FrequencyHistory(REMEMBERED, id -> false, HORIZON);
    private final Deque<String> latest = new ArrayDeque<>();
    private final Map<String, Followers> followers =
            new LinkedHashMap<>(16, 0.75f, true) {
                private static final long serialVersionUID = 1L;

                @Override
                protected boolean removeEldestEntry(Map.Entry<String, Followers> eldest) {
                    return size() > REMEMBERED;
                }
            };

    private double total;

    /**
     * A forecast.
     *
     * @param id the adapter
     * @param probability how likely it is asked for within the next few requests, 0 to 1
     */
    public record Forecast(String id, double probability) {}

    /**
     * Takes note of a request.
     *
     * @param id the adapter that was asked for
     */
    public synchronized void observe(String id) {
        history.record(id);
        total = total * Math.exp(-1.0 / HORIZON) + 1;
        for (String before : latest) {
            if (!before.equals(id)) {
                followers.computeIfAbsent(before, key -> new Followers()).follow(id);
            }
        }
        followers.computeIfAbsent(id, key -> new Followers()).see();
        latest.addLast(id);
        if (latest.size() > WINDOW) {
            latest.removeFirst();
        }
    }

    /**
     * Returns the adapters that are likely to be asked for.
     *
     * @param count the most to return
     * @param wanted which adapters are of interest, such as those that are not resident
     * @return forecasts, the likeliest first
     */
    public synchronized List<Forecast> predict(int count, Predicate<String> wanted) {
        double all = total;
        Map<String, Double> probabilities = new HashMap<>();
        for (String id : latest) {
            Followers after = followers.get(id);
            if (after != null && after.seen >= LEAST_SEEN) {
                after.counts.forEach(
                        (next, times) ->
                                probabilities.merge(next, times / (after.seen + DOUBT), Math::max));
            }
        }
        List<Forecast> forecasts = new ArrayList<>();
        probabilities.forEach(
                (id, probability) -> {
                    // what is asked for often follows everything, and would be there by itself
                    boolean telling = probability > LIFT * WINDOW * weight(id) / all;
                    if (telling && wanted.test(id)) {
                        forecasts.add(new Forecast(id, probability));
                    }
                });
        forecasts.sort(
                Comparator.comparingDouble(Forecast::probability)
                        .reversed()
                        .thenComparing(Forecast::id));
        return List.copyOf(forecasts.subList(0, Math.min(count, forecasts.size())));
    }

    /* How many of the requests of late were for an adapter. */
    private double weight(String id) {
        return Math.exp(history.rank(id, 0) - (double) history.now() / HORIZON);
    }

    /** How often which adapters have followed one. */
    private static final class Followers {

        private final Map<String, Double> counts = new HashMap<>();
        private double seen;

        void see() {
            ++seen;
            if (seen >= HALVE_AT) {
                seen /= 2;
                counts.replaceAll((id, times) -> times / 2);
            }
        }

        /* The least takes its leave for a newcomer, which begins with its count (space saving). */
        void follow(String id) {
            if (counts.size() < FOLLOWERS || counts.containsKey(id)) {
                counts.merge(id, 1.0, Double::sum);
                return;
            }
            String least = null;
            for (Map.Entry<String, Double> entry : counts.entrySet()) {
                if (least == null || entry.getValue() < counts.get(least)) {
                    least = entry.getKey();
                }
            }
            double times = counts.remove(least);
            // half of it: a stranger among many must not look like a habit
            counts.put(id, times / 2 + 1);
        }
    }
}
