/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.memory.PoolStatistics;
import java.util.Optional;

/**
 * How a store stands and has done.
 *
 * @param adapters how many adapters are registered
 * @param device the device tier
 * @param host the host tier; empty where it is switched off
 * @param hostPool the host tier's memory; empty before its first adapter
 * @param devicePool the device tier's memory; empty before its first adapter, and on backends that
 *     keep each adapter in memory of its own
 * @param prefetches how many adapters were loaded before anybody had asked for them
 * @param prefetchesUsed how many of these were asked for then
 * @param prefetchesWasted how many have left unused
 * @param compressed how many copies in the host's memory were compressed
 */
public record StoreStatistics(
        int adapters,
        TierStatistics device,
        Optional<TierStatistics> host,
        Optional<PoolStatistics> hostPool,
        Optional<PoolStatistics> devicePool,
        long prefetches,
        long prefetchesUsed,
        long prefetchesWasted,
        long compressed) {}
