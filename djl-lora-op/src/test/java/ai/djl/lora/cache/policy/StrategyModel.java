/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/**
 * What a strategy is meant to do, written without regard to cost: plain lists, and every decision
 * by a look at all residents.
 */
abstract class StrategyModel {

    /** Two scores this close are equal: both sides round, in another order. */
    private static final double EQUAL = 1e-9;

    /** Residents by the time of what {@link #touch} was called for, oldest first. */
    final Map<String, CacheEntry> residents = new LinkedHashMap<>();

    void admitted(CacheEntry entry) {
        touch(entry);
    }

    void accessed(CacheEntry entry) {
        requested(entry);
        if (residents.containsKey(entry.id())) {
            hit(entry);
        }
    }

    void missed(CacheEntry entry) {
        requested(entry);
    }

    void removed(CacheEntry entry) {
        residents.remove(entry.id());
    }

    /** Returns every resident that would be a right answer. */
    abstract Set<String> victims(Predicate<CacheEntry> evictable);

    void requested(CacheEntry entry) {}

    void hit(CacheEntry entry) {
        touch(entry);
    }

    final void touch(CacheEntry entry) {
        residents.remove(entry.id());
        residents.put(entry.id(), entry);
    }

    static Set<String> firstOf(Collection<CacheEntry> entries, Predicate<CacheEntry> evictable) {
        return entries.stream()
                .filter(evictable)
                .limit(1)
                .map(CacheEntry::id)
                .collect(Collectors.toSet());
    }

    static Set<String> lowest(
            Collection<CacheEntry> entries,
            Predicate<CacheEntry> evictable,
            ToDoubleFunction<CacheEntry> score) {
        List<CacheEntry> free = entries.stream().filter(evictable).toList();
        double least = free.stream().mapToDouble(score).min().orElse(Double.POSITIVE_INFINITY);
        return free.stream()
                .filter(e -> isEqual(score.applyAsDouble(e), least))
                .map(CacheEntry::id)
                .collect(Collectors.toSet());
    }

    /* What was never asked for has an infinite one. */
    private static boolean isEqual(double score, double least) {
        return score == least || score <= least + EQUAL * Math.max(1, Math.abs(least));
    }

    static StrategyModel of(String name) {
        return switch (name) {
            case "lru" -> new Lru();
            case "fifo" -> new Fifo();
            case "size" -> new Size();
            case "lfu" -> new Lfu();
            case "priority" -> new Priority();
            case "cost-aware" -> new CostAware();
            case "w-tinylfu" -> new TinyLfu();
            case "horizon-lfu" -> new HorizonLfu();
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static final class Lru extends StrategyModel {

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            return firstOf(residents.values(), evictable);
        }
    }

    private static final class Fifo extends StrategyModel {

        @Override
        void hit(CacheEntry entry) {
            residents.replace(entry.id(), entry);
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            return firstOf(residents.values(), evictable);
        }
    }

    private static final class Size extends StrategyModel {

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            List<CacheEntry> sorted = new ArrayList<>(residents.values());
            sorted.sort(Comparator.comparingLong(e -> -e.bytes()));
            return firstOf(sorted, evictable);
        }
    }

    /** Multiplies every weight by exp(-1 / horizon) at every request. */
    private static final class Weights {

        private final double decay;
        private final Map<String, Double> values = new TreeMap<>();
        private double total;

        Weights(double horizon) {
            decay = Math.exp(-1 / horizon);
        }

        void age() {
            values.replaceAll((id, value) -> value * decay);
            total *= decay;
        }

        void add(String id) {
            values.merge(id, 1.0, Double::sum);
            ++total;
        }

        double log(CacheEntry entry) {
            return Math.log(values.getOrDefault(entry.id(), 0.0));
        }
    }

    private static final class Lfu extends StrategyModel {

        private final Weights weights = new Weights(8192);

        @Override
        void requested(CacheEntry entry) {
            weights.age();
            weights.add(entry.id());
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            return lowest(residents.values(), evictable, weights::log);
        }
    }

    private static final class Priority extends StrategyModel {

        private final Weights weights = new Weights(8192);
        private final Map<String, Double> last = new HashMap<>();
        private double now;

        @Override
        void requested(CacheEntry entry) {
            weights.age();
            weights.add(entry.id());
            last.put(entry.id(), ++now);
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            double least =
                    residents.values().stream()
                            .filter(evictable)
                            .mapToDouble(CacheEntry::priority)
                            .min()
                            .orElse(0);
            return lowest(
                    residents.values(),
                    evictable.and(e -> e.priority() == least),
                    e ->
                            0.7 * weights.log(e)
                                    + 0.3 * (last.getOrDefault(e.id(), 0.0) - now) / 8192);
        }
    }

    private static final class CostAware extends StrategyModel {

        private final Map<String, Integer> counts = new HashMap<>();
        private final Map<String, Double> values = new HashMap<>();
        private double inflation;
        private String asked;

        @Override
        void admitted(CacheEntry entry) {
            counts.put(entry.id(), 0);
            hit(entry);
        }

        @Override
        void hit(CacheEntry entry) {
            touch(entry);
            int count = counts.merge(entry.id(), 1, Integer::sum);
            double worth = (double) entry.loadNanos() / entry.bytes();
            values.put(entry.id(), inflation + count * worth);
        }

        @Override
        void removed(CacheEntry entry) {
            if (entry.id().equals(asked) && residents.containsKey(asked)) {
                inflation = Math.max(inflation, values.get(asked));
            }
            super.removed(entry);
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            Set<String> victims = lowest(residents.values(), evictable, e -> values.get(e.id()));
            asked = null;
            for (String id : residents.keySet()) {
                if (asked == null && victims.contains(id)) {
                    asked = id;
                }
            }
            return victims;
        }
    }

    private static final class TinyLfu extends StrategyModel {

        private final List<CacheEntry> window = new ArrayList<>();
        private final List<CacheEntry> probation = new ArrayList<>();
        private final List<CacheEntry> guarded = new ArrayList<>();
        private final Map<String, Integer> counts = new HashMap<>();
        private int most = 1;
        private int requests;

        @Override
        void requested(CacheEntry entry) {
            counts.merge(entry.id(), 1, (a, b) -> Math.min(15, a + b));
            if (++requests >= 10 * most) {
                counts.replaceAll((id, count) -> count / 2);
                requests /= 2;
            }
        }

        @Override
        void admitted(CacheEntry entry) {
            removed(entry);
            residents.put(entry.id(), entry);
            window.add(entry);
            most = Math.max(most, residents.size());
            while (window.size() > 1
                    && sum(window) > 0.01 * (sum(window) + sum(probation) + sum(guarded))) {
                probation.add(window.remove(0));
            }
        }

        @Override
        void hit(CacheEntry entry) {
            residents.put(entry.id(), entry);
            if (take(window, entry)) {
                window.add(entry);
            } else if (take(guarded, entry)) {
                guarded.add(entry);
            } else {
                take(probation, entry);
                guarded.add(entry);
                double main = sum(guarded) + sum(probation);
                while (guarded.size() > 1 && sum(guarded) > 0.8 * main) {
                    probation.add(guarded.remove(0));
                }
            }
        }

        @Override
        void removed(CacheEntry entry) {
            super.removed(entry);
            take(window, entry);
            take(probation, entry);
            take(guarded, entry);
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            List<CacheEntry> main = new ArrayList<>(probation);
            main.addAll(guarded);
            Set<String> victim = firstOf(main, evictable);
            Set<String> candidate = firstOf(window, evictable);
            if (candidate.isEmpty() || victim.isEmpty()) {
                return candidate.isEmpty() ? victim : candidate;
            }
            boolean full = sum(window) >= 0.01 * (sum(window) + sum(main));
            return full && count(candidate) <= count(victim) ? candidate : victim;
        }

        private int count(Set<String> one) {
            return counts.getOrDefault(one.iterator().next(), 0);
        }

        private static boolean take(List<CacheEntry> list, CacheEntry entry) {
            return list.removeIf(e -> e.id().equals(entry.id()));
        }

        private static double sum(List<CacheEntry> list) {
            return list.stream().mapToLong(CacheEntry::bytes).sum();
        }
    }

    /** Counts how often the horizon changed, so that a test can tell that it did. */
    static final class HorizonLfu extends StrategyModel {

        private final List<Weights> horizons = new ArrayList<>();
        private final double[] scores = new double[5];
        private final double[] batch = new double[5];
        private int current = 4;
        private int requests;
        private int changes;

        HorizonLfu() {
            for (int i = 0; i < 5; ++i) {
                horizons.add(new Weights(Math.pow(8, i + 2)));
            }
        }

        int changes() {
            return changes;
        }

        @Override
        void requested(CacheEntry entry) {
            boolean known = horizons.get(0).values.containsKey(entry.id());
            for (int i = 0; i < 5; ++i) {
                Weights weights = horizons.get(i);
                double total = weights.total;
                weights.age();
                if (known) {
                    batch[i] +=
                            Math.log(
                                    (weights.values.get(entry.id()) + 0.05)
                                            / (total + 0.05 * weights.values.size()));
                }
                weights.add(entry.id());
            }
            if (++requests % 16 == 0) {
                int best = current;
                for (int i = 0; i < 5; ++i) {
                    scores[i] = 0.984 * scores[i] + batch[i];
                    batch[i] = 0;
                    if (i == 0 || scores[i] > scores[best]) {
                        best = i;
                    }
                }
                if (scores[best] > scores[current] + 10) {
                    current = best;
                    ++changes;
                }
            }
        }

        @Override
        Set<String> victims(Predicate<CacheEntry> evictable) {
            return lowest(residents.values(), evictable, horizons.get(current)::log);
        }
    }
}
