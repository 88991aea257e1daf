/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.policy.EvictionStrategies;
import java.util.OptionalLong;

/**
 * How much a tier may hold and what leaves it first.
 *
 * @param adapters the most adapters, 1 or more
 * @param bytes the most bytes, 1 or more; empty for a quarter of the memory that the process may
 *     use, following the container's limit
 * @param strategy the name of the eviction strategy
 */
public record TierOptions(int adapters, OptionalLong bytes, String strategy) {

    /**
     * Constructs a new {@code TierOptions} instance.
     *
     * @param adapters the most adapters, 1 or more
     * @param bytes the most bytes, 1 or more; empty for a share of the memory
     * @param strategy the name of the eviction strategy
     * @throws LoraConfigurationException if a limit is below 1
     */
    public TierOptions {
        if (adapters < 1) {
            throw new LoraConfigurationException(
                    "adapters is " + adapters + "; it must be 1 or more");
        }
        if (bytes.isPresent() && bytes.getAsLong() < 1) {
            throw new LoraConfigurationException(
                    "bytes is " + bytes.getAsLong() + "; it must be 1 or more");
        }
    }

    /**
     * Returns limits with the default strategy.
     *
     * @param adapters the most adapters, 1 or more
     * @return the options, with a share of the memory
     * @throws LoraConfigurationException if the limit is below 1
     */
    public static TierOptions of(int adapters) {
        return new TierOptions(adapters, OptionalLong.empty(), EvictionStrategies.DEFAULT);
    }

    /**
     * Returns limits with the default strategy.
     *
     * @param adapters the most adapters, 1 or more
     * @param bytes the most bytes, 1 or more
     * @return the options
     * @throws LoraConfigurationException if a limit is below 1
     */
    public static TierOptions of(int adapters, long bytes) {
        return new TierOptions(adapters, OptionalLong.of(bytes), EvictionStrategies.DEFAULT);
    }

    /**
     * Returns the same limits with another strategy.
     *
     * @param other the name of the eviction strategy
     * @return the options
     */
    public TierOptions withStrategy(String other) {
        return new TierOptions(adapters, bytes, other);
    }
}
