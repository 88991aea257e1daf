/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.time.Instant;
import java.util.Optional;

/**
 * How an adapter was used, as of one moment.
 *
 * @param name the adapter's name
 * @param hits how often it was resident when it was used
 * @param misses how often it had to be loaded to be used
 * @param lastUsed when it was used last, in whole milliseconds; empty if never
 * @param frequency the number of accesses, decayed; see {@link AdapterAccess#frequency}
 * @param taken the moment, in whole milliseconds
 */
public record AccessRecord(
        String name,
        long hits,
        long misses,
        Optional<Instant> lastUsed,
        double frequency,
        Instant taken) {}
