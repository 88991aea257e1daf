/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;

/**
 * Remembers what could not be loaded, so that it is refused at once instead of being tried again by
 * every request.
 *
 * <p>After a failure, {@link #enter} answers with the reason until a back-off is over; then one
 * caller may try, and all others get the old answer until that try ends. The back-off doubles with
 * each failure up to a cap, and is shortened by chance so that what failed together is not tried
 * again together.
 *
 * <p>A key names what is tried, best with its revision, so that new content is not refused for the
 * old one's failure. At most {@link Builder#optCapacity} keys are remembered; the one whose turn to
 * be tried comes first makes room. All methods may be called by several threads at once, and none
 * waits.
 */
public final class Quarantine {

    private final long initial;
    private final long max;
    private final double jitter;
    private final long tryTimeout;
    private final int capacity;
    private final LongSupplier ticker;
    private final DoubleSupplier random;
    private final Map<String, Entry> entries = new ConcurrentHashMap<>();

    private Quarantine(Builder builder) {
        initial = builder.initialBackoff.toNanos();
        max = builder.maxBackoff.toNanos();
        if (max < initial) {
            throw new LoraConfigurationException(
                    "maxBackoff is "
                            + builder.maxBackoff
                            + "; it must be at least initialBackoff, "
                            + builder.initialBackoff);
        }
        jitter = builder.jitter;
        tryTimeout = builder.tryTimeout.toNanos();
        capacity = builder.capacity;
        ticker = builder.ticker;
        random = builder.random;
    }

    /** Why a key is refused, and until when; {@code trying} while somebody tries. */
    private record Entry(Throwable reason, int failures, long nextTry, boolean trying) {}

    /**
     * Why something is refused.
     *
     * @param reason what its last try failed with
     * @param failures how often it failed in a row
     * @param retryAfter how long it is refused for at least, not negative
     * @param trying whether somebody is trying it right now
     */
    public record Refusal(Throwable reason, int failures, Duration retryAfter, boolean trying) {}

    /**
     * Returns a builder.
     *
     * @return a builder with the defaults set
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Asks whether something may be tried. Who gets no refusal for a key that has failed before has
     * the one try: it must report {@link #succeeded}, {@link #failed} or {@link #abandoned}.
     *
     * @param key what is to be tried
     * @return why not, or empty if the caller may try
     */
    public Optional<Refusal> enter(String key) {
        while (true) {
            Entry entry = entries.get(key);
            if (entry == null) {
                return Optional.empty();
            }
            long now = ticker.getAsLong();
            if (now - entry.nextTry < 0) {
                return Optional.of(refusal(entry, now));
            }
            // a try that never ends is taken for lost after a while, and another one allowed
            Entry tried = new Entry(entry.reason, entry.failures, now + tryTimeout, true);
            if (entries.replace(key, entry, tried)) {
                return Optional.empty();
            }
        }
    }

    /**
     * Returns why something would be refused, without taking the try if it would not.
     *
     * @param key what might be tried
     * @return the refusal, empty if it may be tried
     */
    public Optional<Refusal> peek(String key) {
        long now = ticker.getAsLong();
        return Optional.ofNullable(entries.get(key))
                .filter(entry -> now - entry.nextTry < 0)
                .map(entry -> refusal(entry, now));
    }

    /**
     * Notes that a try failed.
     *
     * @param key what was tried
     * @param reason why it failed
     * @return how it is refused from now on
     */
    public Refusal failed(String key, Throwable reason) {
        long now = ticker.getAsLong();
        Entry made =
                entries.compute(
                        key,
                        (name, entry) -> {
                            int failures =
                                    entry == null
                                            ? 1
                                            : Math.min(entry.failures, Integer.MAX_VALUE - 1) + 1;
                            return new Entry(reason, failures, now + backoff(failures), false);
                        });
        makeRoom(key);
        return refusal(made, now);
    }

    /**
     * Notes that a try succeeded: nothing is held against the key any more.
     *
     * @param key what was tried
     */
    public void succeeded(String key) {
        entries.remove(key);
    }

    /**
     * Notes that a try ended without a result, such as one that was cancelled: the next caller may
     * try.
     *
     * @param key what was tried
     */
    public void abandoned(String key) {
        long now = ticker.getAsLong();
        entries.computeIfPresent(
                key,
                (name, entry) ->
                        entry.trying ? new Entry(entry.reason, entry.failures, now, false) : entry);
    }

    /**
     * Returns what is held against a key, also where the back-off is over.
     *
     * @param key what was tried
     * @return how its last try failed, empty if it did not
     */
    public Optional<Refusal> find(String key) {
        return Optional.ofNullable(entries.get(key))
                .map(entry -> refusal(entry, ticker.getAsLong()));
    }

    /**
     * Returns what is held against which keys, also where the back-off is over.
     *
     * @return the refusals by key
     */
    public Map<String, Refusal> snapshot() {
        long now = ticker.getAsLong();
        Map<String, Refusal> refusals = new TreeMap<>();
        entries.forEach((key, entry) -> refusals.put(key, refusal(entry, now)));
        return refusals;
    }

    private static Refusal refusal(Entry entry, long now) {
        return new Refusal(
                entry.reason,
                entry.failures,
                Duration.ofNanos(Math.max(0, entry.nextTry - now)),
                entry.trying);
    }

    private long backoff(int failures) {
        double doubled = initial * Math.pow(2, failures - 1);
        return (long) (Math.min(max, doubled) * (1 - jitter * random.getAsDouble()));
    }

    private void makeRoom(String kept) {
        while (entries.size() > capacity) {
            long now = ticker.getAsLong();
            entries.entrySet().stream()
                    .filter(entry -> !entry.getKey().equals(kept))
                    .min(Comparator.comparingLong(entry -> entry.getValue().nextTry - now))
                    .ifPresent(entry -> entries.remove(entry.getKey(), entry.getValue()));
        }
    }

    /** The builder of a {@link Quarantine}. */
    public static final class Builder {

        private Duration initialBackoff = Duration.ofSeconds(1);
        private Duration maxBackoff = Duration.ofMinutes(5);
        private double jitter = 0.2;
        private Duration tryTimeout = Duration.ofMinutes(1);
        private int capacity = 1_000;
        private LongSupplier ticker = System::nanoTime;
        private DoubleSupplier random = () -> ThreadLocalRandom.current().nextDouble();

        private Builder() {}

        /**
         * Sets how long something is refused after its first failure; a second by default.
         *
         * @param initialBackoff the time, more than 0 and at most 1,000 days
         * @return this builder
         */
        public Builder optInitialBackoff(Duration initialBackoff) {
            this.initialBackoff = checkTime("initialBackoff", initialBackoff);
            return this;
        }

        /**
         * Sets how long something is refused at most; 5 minutes by default.
         *
         * @param maxBackoff the time, at least the initial one and at most 1,000 days
         * @return this builder
         */
        public Builder optMaxBackoff(Duration maxBackoff) {
            this.maxBackoff = checkTime("maxBackoff", maxBackoff);
            return this;
        }

        /**
         * Sets by how much of itself a back-off may be shortened by chance; 0.2 by default.
         *
         * @param jitter the share, from 0 to 1
         * @return this builder
         */
        public Builder optJitter(double jitter) {
            if (!(jitter >= 0 && jitter <= 1)) {
                throw new LoraConfigurationException(
                        "jitter is " + jitter + "; allowed are 0 to 1");
            }
            this.jitter = jitter;
            return this;
        }

        /**
         * Sets after how long a try of which nothing was heard is taken for lost; a minute by
         * default.
         *
         * @param tryTimeout the time, more than 0 and at most 1,000 days
         * @return this builder
         */
        public Builder optTryTimeout(Duration tryTimeout) {
            this.tryTimeout = checkTime("tryTimeout", tryTimeout);
            return this;
        }

        /**
         * Sets how many keys are remembered; 1,000 by default.
         *
         * @param capacity the number, 1 to 1,000,000
         * @return this builder
         */
        public Builder optCapacity(int capacity) {
            if (capacity < 1 || capacity > 1_000_000) {
                throw new LoraConfigurationException(
                        "capacity is " + capacity + "; allowed are 1 to 1000000");
            }
            this.capacity = capacity;
            return this;
        }

        /**
         * Sets the clock.
         *
         * @param ticker nanoseconds since some moment, as {@link System#nanoTime} gives them
         * @return this builder
         */
        public Builder optTicker(LongSupplier ticker) {
            this.ticker = ticker;
            return this;
        }

        /**
         * Sets the chance by which back-offs are shortened.
         *
         * @param random numbers from 0 inclusive to 1 exclusive
         * @return this builder
         */
        public Builder optRandom(DoubleSupplier random) {
            this.random = random;
            return this;
        }

        /**
         * Builds the quarantine.
         *
         * @return the quarantine
         * @throws LoraConfigurationException if the longest back-off is shorter than the first
         */
        public Quarantine build() {
            return new Quarantine(this);
        }

        private static Duration checkTime(String name, Duration time) {
            if (time.isZero() || time.isNegative() || time.compareTo(Duration.ofDays(1000)) > 0) {
                throw new LoraConfigurationException(
                        name + " is " + time + "; allowed is more than PT0S and at most PT24000H");
            }
            return time;
        }
    }
}
