/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

/**
 * Makes instances of a strategy.
 *
 * <p>Providers of other jars are found through {@link java.util.ServiceLoader}; an application may
 * also hand one to {@link EvictionStrategies#register}.
 */
public interface EvictionStrategyProvider {

    /**
     * Returns the name by which users choose the strategy.
     *
     * @return the name, such as {@code lru}
     */
    String getName();

    /**
     * Makes the strategy of a tier.
     *
     * @param context what the tier gives
     * @return a new instance
     */
    EvictionStrategy create(StrategyContext context);
}
