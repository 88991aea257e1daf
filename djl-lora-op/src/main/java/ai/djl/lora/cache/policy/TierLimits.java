/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

/**
 * How much a tier may hold. Both limits apply.
 *
 * @param entries the most adapters, 1 or more
 * @param bytes the most bytes, 1 or more
 */
public record TierLimits(int entries, long bytes) {

    /**
     * Constructs a new {@code TierLimits} instance.
     *
     * @param entries the most adapters, 1 or more
     * @param bytes the most bytes, 1 or more
     */
    public TierLimits {
        if (entries < 1) {
            throw new IllegalArgumentException("entries is " + entries + ", allowed is >= 1");
        }
        if (bytes < 1) {
            throw new IllegalArgumentException("bytes is " + bytes + ", allowed is >= 1");
        }
    }

    /**
     * Returns limits on the number of adapters alone.
     *
     * @param entries the most adapters, 1 or more
     * @return the limits
     */
    public static TierLimits ofEntries(int entries) {
        return new TierLimits(entries, Long.MAX_VALUE);
    }
}
