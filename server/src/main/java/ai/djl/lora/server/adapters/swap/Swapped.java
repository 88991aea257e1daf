/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import ai.djl.lora.adapter.LoadReport;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * What a change of revision has done.
 *
 * @param name the adapter's own name
 * @param before the revision that requests got before
 * @param after the one that they get now
 * @param report what is applied of it
 * @param seconds how long each step took
 * @param drained whether nobody uses the old revision any more
 */
public record Swapped(
        String name,
        String before,
        String after,
        LoadReport report,
        Map<SwapStep, Double> seconds,
        boolean drained) {

    /**
     * Constructs a new {@code Swapped} instance.
     *
     * @param name the adapter's own name
     * @param before the revision that requests got before
     * @param after the one that they get now
     * @param report what is applied of it
     * @param seconds how long each step took
     * @param drained whether nobody uses the old revision any more
     */
    public Swapped {
        // in the order of the steps
        Map<SwapStep, Double> ordered = new EnumMap<>(SwapStep.class);
        ordered.putAll(seconds);
        seconds = Collections.unmodifiableMap(ordered);
    }
}
