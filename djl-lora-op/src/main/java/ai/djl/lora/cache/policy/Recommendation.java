/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which strategy would have served the recent requests best.
 *
 * @param best its name
 * @param results what was measured, by name
 */
public record Recommendation(String best, Map<String, ReplayResult> results) {

    /**
     * Constructs a new {@code Recommendation} instance.
     *
     * @param best the best strategy's name
     * @param results what was measured, by name
     */
    public Recommendation {
        results = Collections.unmodifiableMap(new LinkedHashMap<>(results));
        if (!results.containsKey(best)) {
            throw new IllegalArgumentException(best + " was not measured");
        }
    }
}
