/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import java.time.Duration;

/**
 * What happens when an adapter cannot be had: it is tried again, and if that does not help either
 * the request fails or is answered by something else, which its lease then says. A name that is not
 * registered always fails.
 *
 * @param tries how often the adapter is tried, 1 to 100
 * @param backoff the time before the second try, at most a day, which doubles with each
 * @param previousRevision whether the revision before the current one may answer
 * @param base whether the base model may answer
 */
public record UnavailablePolicy(
        int tries, Duration backoff, boolean previousRevision, boolean base) {

    /** The most tries that a policy may have. */
    public static final int MOST_TRIES = 100;

    /** The longest time before the second try that a policy may have. */
    public static final Duration LONGEST_BACKOFF = Duration.ofDays(1);

    /** One try; then the request fails. */
    public static final UnavailablePolicy FAIL =
            new UnavailablePolicy(1, Duration.ofMillis(100), false, false);

    /** Three tries; then the request fails. */
    public static final UnavailablePolicy RETRY =
            new UnavailablePolicy(3, Duration.ofMillis(100), false, false);

    /**
     * Constructs a new {@code UnavailablePolicy} instance.
     *
     * @param tries how often the adapter is tried, 1 to 100
     * @param backoff the time before the second try, at most a day, which doubles with each
     * @param previousRevision whether the revision before the current one may answer
     * @param base whether the base model may answer
     * @throws LoraConfigurationException if a value is not allowed
     */
    public UnavailablePolicy {
        if (tries < 1 || tries > MOST_TRIES) {
            throw new LoraConfigurationException(
                    "tries is " + tries + "; allowed are 1 to " + MOST_TRIES);
        }
        if (backoff.isNegative() || backoff.compareTo(LONGEST_BACKOFF) > 0) {
            throw new LoraConfigurationException(
                    "backoff is " + backoff + "; allowed are PT0S to " + LONGEST_BACKOFF);
        }
    }

    /**
     * Returns this policy, with the previous revision allowed to answer.
     *
     * @return the policy
     */
    public UnavailablePolicy orPreviousRevision() {
        return new UnavailablePolicy(tries, backoff, true, base);
    }

    /**
     * Returns this policy, with the base model allowed to answer.
     *
     * @return the policy
     */
    public UnavailablePolicy orBase() {
        return new UnavailablePolicy(tries, backoff, previousRevision, true);
    }
}
