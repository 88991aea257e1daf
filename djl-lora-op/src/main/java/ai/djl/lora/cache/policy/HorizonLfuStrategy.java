/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Arrays;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Evicts what was asked for least often over the horizon that at present foretells requests best.
 *
 * <p>How far back to count is what a strategy by frequency must know: over a long horizon it finds
 * the most popular adapters exactly while their popularity lasts, over a short one it follows when
 * it changes, down to the recency of LRU. This strategy counts over five horizons at once, of 64 to
 * 262,144 requests. Each is a forecast: it gives the adapter that is asked for next a probability,
 * and its score is the sum of their logarithms, in which the past fades over 1,000 requests. When a
 * horizon's score is better than the present one's by a margin, residents are ordered by it from
 * then on. (Predictors that are weighed by their logarithmic loss with forgetting: Herbster and
 * Warmuth, "Tracking the Best Expert", 1998.)
 *
 * <p>Frequencies are remembered beyond eviction and count requests that missed; a request costs
 * O(log n), a change of the horizon O(n).
 */
public final class HorizonLfuStrategy implements EvictionStrategy {

    private static final int REMEMBERED = 1 << 16;
    private static final double[] HORIZONS = {64, 512, 4096, 32768, 262144};

    /** Over how many requests forecasts are judged. */
    private static final double MEMORY = 1000;

    /** Logarithms are taken and scores compared once in so many requests. */
    private static final int BATCH = 16;

    /** How much better, in natural logarithms, another horizon must have foretold. */
    private static final double MARGIN = 10;

    /** The requests that an adapter has in advance, so that a new one has a probability. */
    private static final double PRIOR = 0.05;

    private final EntryHeap heap = new EntryHeap();
    private final FrequencyHistory history =
            new FrequencyHistory(REMEMBERED, heap::contains, HORIZONS);
    private final double[] decays = new double[HORIZONS.length];
    private final double[] totals = new double[HORIZONS.length];
    private final double[] products = new double[HORIZONS.length];
    private final double[] scores = new double[HORIZONS.length];
    private int current = HORIZONS.length - 1;

    /** Constructs a new {@code HorizonLfuStrategy} instance. */
    public HorizonLfuStrategy() {
        Arrays.fill(products, 1);
        Arrays.setAll(decays, i -> Math.exp(-1 / HORIZONS[i]));
    }

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "horizon-lfu";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        heap.put(entry, rank(entry));
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        record(entry);
        if (heap.contains(entry.id())) {
            heap.put(entry, rank(entry));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        record(entry);
    }

    /** {@inheritDoc} */
    @Override
    public void removed(CacheEntry entry) {
        heap.remove(entry.id());
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        return heap.first(evictable);
    }

    /** {@inheritDoc} */
    @Override
    public boolean admits(CacheEntry candidate, CacheEntry victim) {
        return rank(candidate) > rank(victim);
    }

    /**
     * Returns the horizon that residents are ordered by at present.
     *
     * @return the number of requests after which one counts 1/e
     */
    public double horizon() {
        return HORIZONS[current];
    }

    private double rank(CacheEntry entry) {
        return history.rank(entry.id(), current);
    }

    private void record(CacheEntry entry) {
        boolean known = history.last(entry.id()) != 0;
        double[] weights = history.record(entry.id());
        double priors = PRIOR * history.size();
        for (int i = 0; i < HORIZONS.length; ++i) {
            // What was never asked for before no horizon can foretell; the shortest would gain by
            // it,
            // because it is the least sure.
            if (known) {
                products[i] *= (weights[i] + PRIOR) / (totals[i] + priors);
            }
            totals[i] = totals[i] * decays[i] + 1;
        }
        if (history.now() % BATCH == 0) {
            judge();
        }
    }

    private void judge() {
        int best = current;
        for (int i = 0; i < HORIZONS.length; ++i) {
            scores[i] = scores[i] * (1 - BATCH / MEMORY) + Math.log(products[i]);
            products[i] = 1;
        }
        for (int i = 0; i < HORIZONS.length; ++i) {
            if (scores[i] > scores[best]) {
                best = i;
            }
        }
        if (scores[best] > scores[current] + MARGIN) {
            current = best;
            heap.rescore(this::rank);
        }
    }
}
