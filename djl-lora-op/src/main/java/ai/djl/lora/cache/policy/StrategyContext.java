/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/**
 * What a tier gives to its strategy.
 *
 * @param limits the tier's limits as they are at present; may be asked from any thread
 * @param background where work of some 10 milliseconds may be done, outside the tier's lock; {@code
 *     Runnable::run} where replays have to be exact. It may refuse by {@link
 *     java.util.concurrent.RejectedExecutionException}, and the work is tried again later
 */
public record StrategyContext(Supplier<TierLimits> limits, Executor background) {

    /**
     * Constructs a new {@code StrategyContext} instance.
     *
     * @param limits the tier's limits as they are at present
     * @param background where work may be done outside the tier's lock
     */
    public StrategyContext {
        Objects.requireNonNull(limits, "limits");
        Objects.requireNonNull(background, "background");
    }
}
