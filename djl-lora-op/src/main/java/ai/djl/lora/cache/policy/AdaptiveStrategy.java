/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evicts as another strategy does, and changes to a third when that would have done clearly better.
 *
 * <p>Once in an interval the recent requests are replayed against every strategy, outside the
 * tier's lock. When others have been better than the present one by the margin, so many times one
 * after the other, the last of them takes over: it is told of the recent requests, so that it knows
 * frequencies, and of all residents in the order of their last use.
 */
public final class AdaptiveStrategy implements EvictionStrategy {

    private static final Logger logger = LoggerFactory.getLogger(AdaptiveStrategy.class);

    private final EvictionStrategies strategies;
    private final StrategyAdvisor advisor;
    private final StrategyContext context;
    private final Settings settings;
    private final AccessRecorder recorder;
    private final Map<String, CacheEntry> residents = new LinkedHashMap<>(16, 0.75f, true);
    private EvictionStrategy current;
    private String currentName;
    private long requests;
    private int wins;

    /** A finished evaluation, until the next request takes it; written by the background. */
    private volatile Evaluation finished;

    /** Whether one is under way. */
    private volatile boolean evaluating;

    /**
     * Constructs a new {@code AdaptiveStrategy} instance that begins with the default strategy.
     *
     * @param strategies the strategies to choose among
     * @param context what the tier gives
     * @param settings when to change
     */
    public AdaptiveStrategy(
            EvictionStrategies strategies, StrategyContext context, Settings settings) {
        this.strategies = strategies;
        this.context = context;
        this.settings = settings;
        advisor = new StrategyAdvisor(strategies);
        recorder = new AccessRecorder(settings.window());
        currentName = settings.first();
        current = strategies.create(currentName, context);
    }

    /** {@inheritDoc} */
    @Override
    public String name() {
        return "adaptive";
    }

    /**
     * Returns the strategy in use.
     *
     * @return its name
     */
    public String current() {
        return currentName;
    }

    /** {@inheritDoc} */
    @Override
    public void admitted(CacheEntry entry) {
        residents.put(entry.id(), entry);
        current.admitted(entry);
    }

    /** {@inheritDoc} */
    @Override
    public void accessed(CacheEntry entry) {
        requested(entry);
        residents.computeIfPresent(entry.id(), (id, before) -> entry);
        current.accessed(entry);
    }

    /** {@inheritDoc} */
    @Override
    public void missed(CacheEntry entry) {
        requested(entry);
        current.missed(entry);
    }

    /** {@inheritDoc} */
    @Override
    public void removed(CacheEntry entry) {
        residents.remove(entry.id());
        current.removed(entry);
    }

    /** {@inheritDoc} */
    @Override
    public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
        return current.victim(evictable);
    }

    /** {@inheritDoc} */
    @Override
    public boolean admits(CacheEntry candidate, CacheEntry victim) {
        return current.admits(candidate, victim);
    }

    private void requested(CacheEntry entry) {
        Evaluation evaluation = finished;
        if (evaluation != null) {
            finished = null;
            evaluating = false;
            judge(evaluation);
        }
        recorder.record(entry);
        if (++requests >= settings.window() && requests % settings.interval() == 0 && !evaluating) {
            List<CacheEntry> recent = recorder.recent();
            String name = currentName;
            evaluating = true;
            try {
                context.background().execute(() -> evaluate(recent, name));
            } catch (RejectedExecutionException e) {
                evaluating = false;
                logger.debug("No evaluation of eviction strategies at request {}", requests, e);
            }
        }
    }

    private void evaluate(List<CacheEntry> recent, String name) {
        try {
            Trace trace = AccessRecorder.trace(recent);
            Recommendation recommendation = advisor.recommend(trace, context.limits().get());
            Map<String, ReplayResult> results = recommendation.results();
            String best = recommendation.best();
            double gain = advisor.value(results.get(best)) - advisor.value(results.get(name));
            EvictionStrategy successor = null;
            if (gain >= settings.margin()) {
                successor = strategies.create(best, context);
                recent.forEach(successor::missed);
            }
            finished = new Evaluation(best, gain, successor);
        } catch (RuntimeException e) {
            // A strategy that an application registered may fail; the present one goes on.
            logger.warn("Cannot compare eviction strategies; {} goes on", name, e);
            evaluating = false;
        }
    }

    private void judge(Evaluation evaluation) {
        if (evaluation.successor() == null) {
            wins = 0;
            return;
        }
        if (++wins < settings.patience()) {
            return;
        }
        logger.info(
                "Eviction strategy {} takes over from {}, which would have had {} points less",
                evaluation.best(),
                currentName,
                Math.round(1000 * evaluation.gain()) / 10.0);
        current = evaluation.successor();
        currentName = evaluation.best();
        residents.values().forEach(current::admitted);
        wins = 0;
    }

    /** What an evaluation found; the successor is null where the gain is below the margin. */
    private record Evaluation(String best, double gain, EvictionStrategy successor) {}

    /**
     * When to change.
     *
     * @param first the name of the strategy to begin with
     * @param window the number of recent requests to judge by
     * @param interval the number of requests from one evaluation to the next
     * @param margin by how much the hit rate over the window must be better, above 0 and up to 1
     * @param patience how many evaluations running must agree
     */
    public record Settings(String first, int window, int interval, double margin, int patience) {

        /** 20,000 requests judged every 5,000; 2 points better, twice. */
        public static final Settings DEFAULT =
                new Settings(EvictionStrategies.DEFAULT, 20_000, 5_000, 0.02, 2);

        /**
         * Constructs a new {@code Settings} instance.
         *
         * @param first the name of the strategy to begin with
         * @param window the number of recent requests to judge by
         * @param interval the number of requests from one evaluation to the next
         * @param margin by how much the hit rate over the window must be better, above 0 and up to
         *     1
         * @param patience how many evaluations running must agree
         */
        public Settings {
            atLeastOne("window", window);
            atLeastOne("interval", interval);
            atLeastOne("patience", patience);
            if (!(margin > 0 && margin <= 1)) {
                throw new IllegalArgumentException(
                        "margin is " + margin + ", allowed is above 0 and up to 1");
            }
        }

        private static void atLeastOne(String name, int value) {
            if (value < 1) {
                throw new IllegalArgumentException(name + " is " + value + ", allowed is >= 1");
            }
        }
    }
}
