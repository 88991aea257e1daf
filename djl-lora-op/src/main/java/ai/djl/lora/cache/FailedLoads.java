/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;

/**
 * Remembers which adapters could not be loaded and why, so that they are not tried again at once:
 * the time until the next try doubles with each failure.
 */
final class FailedLoads {

    private final Duration first;
    private final Duration longest;
    private final LongSupplier ticker;
    private final Map<String, Failure> failures = new ConcurrentHashMap<>();

    /**
     * Constructs a new {@code FailedLoads} instance.
     *
     * @param first the time until the second try
     * @param longest the longest time between two tries
     * @param ticker the time in nanoseconds
     */
    FailedLoads(Duration first, Duration longest, LongSupplier ticker) {
        this.first = first;
        this.longest = longest;
        this.ticker = ticker;
    }

    /** Notes a failure. Returns whether it is the first since the adapter was loaded. */
    boolean add(String id, LoraException reason) {
        Failure added =
                failures.compute(
                        id,
                        (key, before) -> {
                            long pause =
                                    before == null
                                            ? first.toNanos()
                                            : Math.min(longest.toNanos(), 2 * before.pause);
                            int count = before == null ? 1 : before.count + 1;
                            return new Failure(reason, count, pause, ticker.getAsLong() + pause);
                        });
        return added.count == 1;
    }

    /** Returns why an adapter is not tried now, or empty where it may be tried. */
    Optional<LoraException> reason(String id) {
        Failure failure = failures.get(id);
        return failure == null || ticker.getAsLong() - failure.until >= 0
                ? Optional.empty()
                : Optional.of(failure.reason);
    }

    /** Returns why an adapter's last load failed, whether or not it may be tried again. */
    Optional<LoraException> lastReason(String id) {
        return Optional.ofNullable(failures.get(id)).map(failure -> failure.reason);
    }

    void forget(String id) {
        failures.remove(id);
    }

    private record Failure(LoraException reason, int count, long pause, long until) {}
}
