/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * Replays a trace of recent requests against every strategy and tells which did best. Holds no
 * state, so that a trace taken under a tier's lock ({@link AccessRecorder}) can be judged outside
 * it.
 */
public final class StrategyAdvisor {

    /** The share of a trace that fills the empty tier and is not counted. */
    private static final double WARM_UP = 0.5;

    private final EvictionStrategies strategies;
    private final ToDoubleFunction<ReplayResult> objective;

    /**
     * Constructs a new {@code StrategyAdvisor} instance that wants hits.
     *
     * @param strategies the strategies to compare
     */
    public StrategyAdvisor(EvictionStrategies strategies) {
        this(strategies, ReplayResult::hitRate);
    }

    /**
     * Constructs a new {@code StrategyAdvisor} instance.
     *
     * @param strategies the strategies to compare
     * @param objective what should be as large as possible, such as {@link
     *     ReplayResult#savedLoadTime}
     */
    public StrategyAdvisor(
            EvictionStrategies strategies, ToDoubleFunction<ReplayResult> objective) {
        this.strategies = strategies;
        this.objective = objective;
    }

    /**
     * Replays a trace. The first half of it warms the tier up, the second half is counted.
     *
     * @param trace the trace
     * @param limits the tier's limits
     * @return the recommendation; of equally good strategies the one that was registered first
     */
    public Recommendation recommend(Trace trace, TierLimits limits) {
        TraceReplay replay = new TraceReplay(trace, limits, (int) (WARM_UP * trace.length()));
        StrategyContext context = new StrategyContext(() -> limits, Runnable::run);
        Map<String, ReplayResult> results = new LinkedHashMap<>();
        String best = null;
        for (String name : strategies.fixedNames()) {
            ReplayResult result = replay.run(strategies.create(name, context));
            results.put(name, result);
            if (best == null || value(result) > value(results.get(best))) {
                best = name;
            }
        }
        return new Recommendation(best, results);
    }

    /**
     * Returns what a result is worth.
     *
     * @param result a result
     * @return its objective
     */
    public double value(ReplayResult result) {
        return objective.applyAsDouble(result);
    }
}
