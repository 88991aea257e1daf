/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Comparator;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Evicts the lowest score: the user's {@link CacheEntry#priority}, and of equal ones, such as all
 * that were given none, 0.7 of frequency and 0.3 of recency.
 *
 * <p>Frequency and recency are both logarithms, of an adapter's requests and of its last request
 * alone, where a request that lies h requests back counts 1/e of a new one. So neither needs the
 * other adapters to be brought to a scale, and the order of two adapters changes only when one of
 * them is asked for.
 */
public final class PriorityStrategy implements EvictionStrategy {

    private static final int REMEMBERED = 1 << 16;
    private static final double HORIZON = 8192;
    private static final double FREQUENCY = 0.7;
    private static final double RECENCY = 0.3;

    private final EntryHeap heap = new EntryHeap(Comparator.comparingDouble(CacheEntry::priority));
    private final FrequencyHistory history =
            new FrequencyHistory(REMEMBERED, heap::contains, HORIZON);
    private final double frequency;
    private final double recency;

    /** Constructs a new {@code PriorityStrategy} instance with the weights 0.7 and 0.3. */
    public PriorityStrategy() {
        this(FREQUENCY, RECENCY);
    }

    /**
     * Constructs a new {@code PriorityStrategy} instance.
     *
     * @param frequency the weight of frequency, 0 or more
     * @param recency the weight of recency, 0 or more
     */
    public PriorityStrategy(double frequency, double recency) {
        this.frequency = weight("frequency", frequency);
        this.recency = weight("recency", recency);
    }

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "priority";
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        heap.put(entry, score(entry));
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        history.record(entry.id());
        if (heap.contains(entry.id())) {
            heap.put(entry, score(entry));
        }
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        history.record(entry.id());
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
        return candidate.priority() == victim.priority()
                ? score(candidate) > score(victim)
                : candidate.priority() > victim.priority();
    }

    private double score(CacheEntry entry) {
        long last = history.last(entry.id());
        return last == 0
                ? Double.NEGATIVE_INFINITY
                : frequency * history.rank(entry.id(), 0) + recency * last / HORIZON;
    }

    private static double weight(String name, double value) {
        if (!(value >= 0) || value == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException(
                    name + " is " + value + ", allowed is a finite number of 0 or more");
        }
        return value;
    }
}
