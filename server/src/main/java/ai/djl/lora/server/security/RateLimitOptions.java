/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import java.util.Map;
import java.util.Optional;

/**
 * How often the server may be asked.
 *
 * @param global by all callers together
 * @param perCaller by each caller: a key, a token's subject, or an address where nobody is known
 * @param perAdapter for each adapter, by all callers together
 * @param adapters for single adapters, instead of what holds for each
 */
public record RateLimitOptions(
        Optional<RateLimit> global,
        Optional<RateLimit> perCaller,
        Optional<RateLimit> perAdapter,
        Map<String, RateLimit> adapters) {

    /** No limit. */
    public static final RateLimitOptions NONE =
            new RateLimitOptions(Optional.empty(), Optional.empty(), Optional.empty(), Map.of());

    /**
     * Constructs a new {@code RateLimitOptions} instance.
     *
     * @param global by all callers together
     * @param perCaller by each caller
     * @param perAdapter for each adapter, by all callers together
     * @param adapters for single adapters, instead of what holds for each; copied
     */
    public RateLimitOptions {
        adapters = Map.copyOf(adapters);
    }
}
