/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.cache.policy.StrategyContext;
import ai.djl.lora.cache.policy.TierLimits;
import ai.djl.lora.cache.policy.Trace;
import ai.djl.lora.cache.policy.TraceReplay;
import ai.djl.lora.cache.policy.Traces;
import java.util.LinkedHashMap;
import java.util.Map;

/** Replays traces of requests for 10,000 adapters against every eviction strategy. */
final class HitRateBench {

    private static final int ADAPTERS = 10_000;
    private static final int SHIFT = 10_000;

    private final int length;

    /**
     * Constructs a new {@code HitRateBench} instance.
     *
     * @param length the number of requests, of which the first third is not counted
     */
    HitRateBench(int length) {
        this.length = length;
    }

    /**
     * Measures requests by Zipf's law with the exponent 1.
     *
     * @param room how many adapters the tier holds
     * @return the hit rate by strategy; {@code static_optimum}, with the truly most popular always
     *     there; and {@code belady}, the offline optimum with bypass
     */
    Map<String, Double> zipf(int room) {
        return rates(Traces.zipf(Traces.equalAdapters(ADAPTERS), 1, length, 1), room);
    }

    /**
     * Measures requests whose popularity is drawn anew every 10,000.
     *
     * @param room how many adapters the tier holds
     * @return the hit rates, as those of {@link #zipf}
     */
    Map<String, Double> shifting(int room) {
        return rates(Traces.shifting(Traces.equalAdapters(ADAPTERS), 1, SHIFT, length, 2), room);
    }

    private Map<String, Double> rates(Trace trace, int room) {
        TierLimits limits = TierLimits.ofEntries(room);
        TraceReplay replay = new TraceReplay(trace, limits, length / 3);
        StrategyContext context = new StrategyContext(() -> limits, Runnable::run);
        EvictionStrategies strategies = new EvictionStrategies();
        Map<String, Double> rates = new LinkedHashMap<>();
        for (String name : strategies.names()) {
            rates.put(name, replay.run(strategies.create(name, context)).hitRate());
        }
        rates.put("static_optimum", replay.staticOptimum().hitRate());
        rates.put("belady", replay.belady().hitRate());
        return rates;
    }
}
