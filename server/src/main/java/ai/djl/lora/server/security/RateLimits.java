/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.HttpFailure;
import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.github.bucket4j.Bandwidth;
import io.github.bucket4j.Bucket;
import io.github.bucket4j.ConsumptionProbe;
import io.github.bucket4j.TimeMeter;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Refuses what is asked too often, by token buckets (Bucket4j). Of callers and adapters the {@value
 * #MOST_BUCKETS} seen last are remembered each; one that was forgotten begins anew.
 */
public final class RateLimits {

    private static final int MOST_BUCKETS = 100_000;

    private final RateLimitOptions options;
    private final Map<String, RateLimit> callers = new HashMap<>();
    private final TimeMeter meter;
    private final Optional<Bucket> global;
    private final Cache<String, Bucket> byCaller;
    private final Cache<String, Bucket> byAdapter;

    /**
     * Constructs a new {@code RateLimits} instance.
     *
     * @param options how often the server may be asked
     * @param keys keys, of which some have limits of their own
     * @param ticker the time in nanoseconds
     */
    public RateLimits(RateLimitOptions options, List<ApiKey> keys, LongSupplier ticker) {
        this.options = options;
        keys.forEach(key -> key.rate().ifPresent(rate -> callers.put(key.name(), rate)));
        meter = new Meter(ticker);
        global = options.global().map(this::newBucket);
        byCaller = newCache();
        byAdapter = newCache();
    }

    private record Meter(LongSupplier ticker) implements TimeMeter {

        /** {@inheritDoc} */
        @Override
        public long currentTimeNanos() {
            return ticker.getAsLong();
        }

        /** {@inheritDoc} */
        @Override
        public boolean isWallClockBased() {
            return false;
        }
    }

    private static Cache<String, Bucket> newCache() {
        return Caffeine.newBuilder().maximumSize(MOST_BUCKETS).build();
    }

    private Bucket newBucket(RateLimit limit) {
        return Bucket.builder()
                .addLimit(
                        Bandwidth.builder()
                                .capacity(limit.burst())
                                .refillGreedy(limit.requests(), limit.per())
                                .build())
                .withCustomTimePrecision(meter)
                .build();
    }

    /**
     * Counts a request.
     *
     * @param caller who sends it
     * @param remote from where it comes
     * @throws HttpFailure of status 429, with when to come again, if there are too many
     */
    public void admit(Caller caller, InetAddress remote) {
        Optional<RateLimit> own =
                Optional.ofNullable(callers.get(caller.name())).or(options::perCaller);
        Optional<Bucket> bucket =
                own.map(
                        limit ->
                                byCaller.get(
                                        caller.name().isEmpty()
                                                ? "address " + remote.getHostAddress()
                                                : "caller " + caller.name(),
                                        name -> newBucket(limit)));
        bucket.ifPresent(found -> take(found, "this caller"));
        try {
            global.ifPresent(found -> take(found, "all callers"));
        } catch (HttpFailure e) {
            // what was not done does not count
            bucket.ifPresent(found -> found.addTokens(1));
            throw e;
        }
    }

    /**
     * Counts a request for an adapter.
     *
     * @param adapter its name; "" for the base model
     * @throws HttpFailure of status 429, with when to come again, if there are too many
     */
    public void admitAdapter(String adapter) {
        Optional.ofNullable(options.adapters().get(adapter))
                .or(options::perAdapter)
                .map(limit -> byAdapter.get(adapter, name -> newBucket(limit)))
                .ifPresent(
                        found ->
                                take(
                                        found,
                                        adapter.isEmpty()
                                                ? "the base model"
                                                : "adapter " + adapter));
    }

    private static void take(Bucket bucket, String whose) {
        ConsumptionProbe probe = bucket.tryConsumeAndReturnRemaining(1);
        if (!probe.isConsumed()) {
            long second = TimeUnit.SECONDS.toNanos(1);
            long seconds = Math.max(1, (probe.getNanosToWaitForRefill() + second - 1) / second);
            throw new HttpFailure(
                    429,
                    "rate_limit_exceeded",
                    "there are too many requests for "
                            + whose
                            + "; come again in "
                            + seconds
                            + (seconds == 1 ? " second" : " seconds"),
                    null,
                    Map.of("Retry-After", Long.toString(seconds)),
                    null);
        }
    }
}
