/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.time.Duration;

/**
 * How often something may be done.
 *
 * @param requests how often, in each period
 * @param per the period
 * @param burst how often at once, after a pause
 */
public record RateLimit(long requests, Duration per, long burst) {

    private static final long MOST = 1_000_000_000;

    /**
     * Constructs a new {@code RateLimit} instance.
     *
     * @param requests how often, in each period
     * @param per the period
     * @param burst how often at once, after a pause
     * @throws LoraConfigurationException if a number is not above 0, or more than one each
     *     nanosecond is allowed
     */
    public RateLimit {
        if (requests < 1 || requests > MOST || burst < 1 || burst > MOST) {
            throw new LoraConfigurationException(
                    "a rate allows "
                            + requests
                            + " requests and "
                            + burst
                            + " at once; both must be from 1 to "
                            + MOST);
        }
        if (per.toNanos() < requests) {
            throw new LoraConfigurationException(
                    "a rate's period is " + per + "; it must be a nanosecond or more a request");
        }
    }
}
