/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.memory.MemoryOptions;
import ai.djl.lora.memory.MemorySource;
import java.time.Duration;
import java.util.Optional;

/**
 * How much an {@link AdapterStore} may hold, what leaves first, how adapters are moved, and what
 * goes on in the background. Immutable; checked when it is built.
 */
public final class StoreOptions {

    /** The longest time that any of the options may be: 10,000 days. */
    public static final Duration LONGEST_TIME = Duration.ofDays(10_000);

    private final TierOptions device;
    private final TierOptions host;
    private final boolean hostEnabled;
    private final HostPinning hostPinning;
    private final EvictionStrategies strategies;
    private final Duration acquireTimeout;
    private final Duration loadTimeout;
    private final Duration offloadTimeout;
    private final int loadWorkers;
    private final int offloadWorkers;
    private final int moveQueue;
    private final Duration retryAfter;
    private final Duration longestRetry;
    private final Compression compression;
    private final Duration compressAfter;
    private final double prunedShare;
    private final boolean cleanupEnabled;
    private final Duration cleanupInterval;
    private final Duration cleanupAge;
    private final boolean prefetchEnabled;
    private final Duration prefetchInterval;
    private final int prefetchCount;
    private final boolean monitoringEnabled;
    private final MemoryOptions memory;
    private final MemorySource memorySource;
    private final MemorySource deviceMemorySource;
    private final UnavailablePolicy unavailable;
    private final int maxRank;

    private StoreOptions(Builder builder) {
        device = builder.device;
        host = builder.host;
        hostEnabled = builder.hostEnabled;
        hostPinning = builder.hostPinning;
        strategies = builder.strategies;
        acquireTimeout = builder.acquireTimeout;
        loadTimeout = builder.loadTimeout;
        offloadTimeout = builder.offloadTimeout;
        loadWorkers = builder.loadWorkers;
        offloadWorkers = builder.offloadWorkers;
        moveQueue = builder.moveQueue;
        retryAfter = builder.retryAfter;
        longestRetry = builder.longestRetry;
        compression = builder.compression;
        compressAfter = builder.compressAfter;
        prunedShare = builder.prunedShare;
        cleanupEnabled = builder.cleanupEnabled;
        cleanupInterval = builder.cleanupInterval;
        cleanupAge = builder.cleanupAge;
        prefetchEnabled = builder.prefetchEnabled;
        prefetchInterval = builder.prefetchInterval;
        prefetchCount = builder.prefetchCount;
        monitoringEnabled = builder.monitoringEnabled;
        memory = builder.memory;
        memorySource = builder.memorySource;
        deviceMemorySource = builder.deviceMemorySource;
        unavailable = builder.unavailable;
        maxRank = builder.maxRank;
    }

    /**
     * Returns a builder with the defaults.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns a builder for one's own machine: nothing runs in the background and memory that
     * others use does not make adapters leave.
     *
     * @return the builder
     */
    public static Builder development() {
        return builder()
                .optCleanupEnabled(false)
                .optPrefetchEnabled(false)
                .optMonitoringEnabled(false)
                .optCompression(Compression.NONE);
    }

    /**
     * Returns a builder for a server: everything is on.
     *
     * @return the builder
     */
    public static Builder production() {
        return builder();
    }

    /**
     * Returns how much the device tier may hold.
     *
     * @return the value
     */
    public TierOptions getDevice() {
        return device;
    }

    /**
     * Returns how much the host tier may hold.
     *
     * @return the value
     */
    public TierOptions getHost() {
        return host;
    }

    /**
     * Returns whether adapters are kept in the host's memory as well.
     *
     * @return whether adapters are kept in the host's memory as well
     */
    public boolean isHostEnabled() {
        return hostEnabled;
    }

    /**
     * Returns whether the host tier's memory is pinned.
     *
     * @return the value
     */
    public HostPinning getHostPinning() {
        return hostPinning;
    }

    /**
     * Returns where eviction strategies are looked up.
     *
     * @return the value
     */
    public EvictionStrategies getStrategies() {
        return strategies;
    }

    /**
     * Returns how long {@link AdapterStore#acquire(String)} waits.
     *
     * @return the time
     */
    public Duration getAcquireTimeout() {
        return acquireTimeout;
    }

    /**
     * Returns how long a load may take, waiting for room included.
     *
     * @return the time
     */
    public Duration getLoadTimeout() {
        return loadTimeout;
    }

    /**
     * Returns how long it may take to move an adapter off the device.
     *
     * @return the time
     */
    public Duration getOffloadTimeout() {
        return offloadTimeout;
    }

    /**
     * Returns how many loads run at a time.
     *
     * @return the number
     */
    public int getLoadWorkers() {
        return loadWorkers;
    }

    /**
     * Returns how many adapters are moved off the device at a time.
     *
     * @return the number
     */
    public int getOffloadWorkers() {
        return offloadWorkers;
    }

    /**
     * Returns how many loads, and how many moves off the device, may wait for a worker.
     *
     * @return the number
     */
    public int getMoveQueue() {
        return moveQueue;
    }

    /**
     * Returns after what time an adapter that failed to load is tried again; the time doubles with
     * each failure.
     *
     * @return the time
     */
    public Duration getRetryAfter() {
        return retryAfter;
    }

    /**
     * Returns the longest time between two tries of an adapter that fails.
     *
     * @return the time
     */
    public Duration getLongestRetry() {
        return longestRetry;
    }

    /**
     * Returns how copies in the host's memory are compressed that have not been used.
     *
     * @return the value
     */
    public Compression getCompression() {
        return compression;
    }

    /**
     * Returns after what time without use a copy is compressed.
     *
     * @return the time
     */
    public Duration getCompressAfter() {
        return compressAfter;
    }

    /**
     * Returns the share of entries that {@link Compression#PRUNE} drops.
     *
     * @return the share
     */
    public double getPrunedShare() {
        return prunedShare;
    }

    /**
     * Returns whether adapters leave the device that have not been used for a time.
     *
     * @return whether adapters leave the device that have not been used for a time
     */
    public boolean isCleanupEnabled() {
        return cleanupEnabled;
    }

    /**
     * Returns how often unused adapters are looked for.
     *
     * @return the time
     */
    public Duration getCleanupInterval() {
        return cleanupInterval;
    }

    /**
     * Returns after what time without use an adapter leaves the device.
     *
     * @return the time
     */
    public Duration getCleanupAge() {
        return cleanupAge;
    }

    /**
     * Returns whether adapters are loaded that are likely to be asked for, while there is nothing
     * else to load.
     *
     * @return whether adapters are loaded that are likely to be asked for, while there is nothing
     *     else to load
     */
    public boolean isPrefetchEnabled() {
        return prefetchEnabled;
    }

    /**
     * Returns how often adapters are looked for to prefetch.
     *
     * @return the time
     */
    public Duration getPrefetchInterval() {
        return prefetchInterval;
    }

    /**
     * Returns how many adapters are prefetched at a time.
     *
     * @return the number
     */
    public int getPrefetchCount() {
        return prefetchCount;
    }

    /**
     * Returns whether memory is watched and adapters leave when it is short.
     *
     * @return whether memory is watched and adapters leave when it is short
     */
    public boolean isMonitoringEnabled() {
        return monitoringEnabled;
    }

    /**
     * Returns from what use of memory on adapters leave.
     *
     * @return the value
     */
    public MemoryOptions getMemory() {
        return memory;
    }

    /**
     * Returns which memory is watched.
     *
     * @return the memory; empty for the host's, as far as this process may use it
     */
    public Optional<MemorySource> getMemorySource() {
        return Optional.ofNullable(memorySource);
    }

    /**
     * Returns which memory the device tier lies in, where it is not the one of {@link
     * #getMemorySource()}.
     *
     * @return the memory; empty for the model's device, whatever it is
     */
    public Optional<MemorySource> getDeviceMemorySource() {
        return Optional.ofNullable(deviceMemorySource);
    }

    /**
     * Returns what happens when an adapter cannot be had, where a request does not say.
     *
     * @return the value
     */
    public UnavailablePolicy getUnavailable() {
        return unavailable;
    }

    /**
     * Returns the highest rank that an adapter may have.
     *
     * @return the rank; {@link Integer#MAX_VALUE} where none is too high
     */
    public int getMaxRank() {
        return maxRank;
    }

    /** Builds {@code StoreOptions}. */
    public static final class Builder {

        private TierOptions device = TierOptions.of(100);
        private TierOptions host = TierOptions.of(1000);
        private boolean hostEnabled = true;
        private HostPinning hostPinning = HostPinning.AUTO;
        private EvictionStrategies strategies = new EvictionStrategies();
        private Duration acquireTimeout = Duration.ofSeconds(30);
        private Duration loadTimeout = Duration.ofSeconds(15);
        private Duration offloadTimeout = Duration.ofSeconds(30);
        private int loadWorkers = 2;
        private int offloadWorkers = 4;
        private int moveQueue = 100;
        private Duration retryAfter = Duration.ofSeconds(1);
        private Duration longestRetry = Duration.ofMinutes(5);
        private Compression compression = Compression.ZSTD;
        private Duration compressAfter = Duration.ofMinutes(5);
        private double prunedShare = 0.5;
        private boolean cleanupEnabled = true;
        private Duration cleanupInterval = Duration.ofSeconds(300);
        private Duration cleanupAge = Duration.ofMinutes(30);
        private boolean prefetchEnabled = true;
        private Duration prefetchInterval = Duration.ofMillis(200);
        private int prefetchCount = 2;
        private boolean monitoringEnabled = true;
        private MemoryOptions memory = MemoryOptions.defaults();
        private MemorySource memorySource;
        private MemorySource deviceMemorySource;
        private UnavailablePolicy unavailable = UnavailablePolicy.FAIL;
        private int maxRank = Integer.MAX_VALUE;

        private Builder() {}

        /**
         * Sets how much the device tier may hold; 100 adapters by default.
         *
         * @param device the limits
         * @return this builder
         */
        public Builder optDevice(TierOptions device) {
            this.device = device;
            return this;
        }

        /**
         * Sets how much the host tier may hold; 1,000 adapters by default.
         *
         * @param host the limits
         * @return this builder
         */
        public Builder optHost(TierOptions host) {
            this.host = host;
            return this;
        }

        /**
         * Sets whether adapters are kept in the host's memory as well, from where they come back
         * without their files; true by default.
         *
         * @param hostEnabled whether
         * @return this builder
         */
        public Builder optHostEnabled(boolean hostEnabled) {
            this.hostEnabled = hostEnabled;
            return this;
        }

        /**
         * Sets whether the host tier's memory is pinned; {@link HostPinning#AUTO} by default.
         *
         * @param hostPinning the value
         * @return this builder
         */
        public Builder optHostPinning(HostPinning hostPinning) {
            this.hostPinning = hostPinning;
            return this;
        }

        /**
         * Sets where eviction strategies are looked up, such as one's own.
         *
         * @param strategies the value
         * @return this builder
         */
        public Builder optStrategies(EvictionStrategies strategies) {
            this.strategies = strategies;
            return this;
        }

        /**
         * Sets how long a caller waits for an adapter; 30 s by default.
         *
         * @param acquireTimeout the time, above 0
         * @return this builder
         */
        public Builder optAcquireTimeout(Duration acquireTimeout) {
            this.acquireTimeout = acquireTimeout;
            return this;
        }

        /**
         * Sets how long a load may take, waiting for room included; 15 s by default.
         *
         * @param loadTimeout the time, above 0
         * @return this builder
         */
        public Builder optLoadTimeout(Duration loadTimeout) {
            this.loadTimeout = loadTimeout;
            return this;
        }

        /**
         * Sets how long it may take to move an adapter off the device; 30 s by default.
         *
         * @param offloadTimeout the time, above 0
         * @return this builder
         */
        public Builder optOffloadTimeout(Duration offloadTimeout) {
            this.offloadTimeout = offloadTimeout;
            return this;
        }

        /**
         * Sets how many loads run at a time; 2 by default.
         *
         * @param loadWorkers the number, 1 or more
         * @return this builder
         */
        public Builder optLoadWorkers(int loadWorkers) {
            this.loadWorkers = loadWorkers;
            return this;
        }

        /**
         * Sets how many adapters are moved off the device at a time; 4 by default.
         *
         * @param offloadWorkers the number, 1 or more
         * @return this builder
         */
        public Builder optOffloadWorkers(int offloadWorkers) {
            this.offloadWorkers = offloadWorkers;
            return this;
        }

        /**
         * Sets how many loads, and how many moves off the device, may wait for a worker; 100 by
         * default.
         *
         * @param moveQueue the number, 1 or more
         * @return this builder
         */
        public Builder optMoveQueue(int moveQueue) {
            this.moveQueue = moveQueue;
            return this;
        }

        /**
         * Sets after what time an adapter that failed to load is tried again; the time doubles with
         * each failure. 1 s by default.
         *
         * @param retryAfter the time, above 0
         * @return this builder
         */
        public Builder optRetryAfter(Duration retryAfter) {
            this.retryAfter = retryAfter;
            return this;
        }

        /**
         * Sets the longest time between two tries of an adapter that fails; 5 minutes by default.
         *
         * @param longestRetry the time, above 0
         * @return this builder
         */
        public Builder optLongestRetry(Duration longestRetry) {
            this.longestRetry = longestRetry;
            return this;
        }

        /**
         * Sets how copies in the host's memory are compressed that have not been used; losslessly
         * by default, {@link Compression#NONE} to switch it off.
         *
         * @param compression the value
         * @return this builder
         */
        public Builder optCompression(Compression compression) {
            this.compression = compression;
            return this;
        }

        /**
         * Sets after what time without use a copy is compressed; 5 minutes by default.
         *
         * @param compressAfter the time, above 0
         * @return this builder
         */
        public Builder optCompressAfter(Duration compressAfter) {
            this.compressAfter = compressAfter;
            return this;
        }

        /**
         * Sets the share of entries that {@link Compression#PRUNE} drops, above 0 and below 1; a
         * half by default.
         *
         * @param prunedShare the share, above 0 and below 1
         * @return this builder
         */
        public Builder optPrunedShare(double prunedShare) {
            this.prunedShare = prunedShare;
            return this;
        }

        /**
         * Sets whether adapters leave the device that have not been used for a time; true by
         * default.
         *
         * @param cleanupEnabled whether
         * @return this builder
         */
        public Builder optCleanupEnabled(boolean cleanupEnabled) {
            this.cleanupEnabled = cleanupEnabled;
            return this;
        }

        /**
         * Sets how often unused adapters are looked for; every 300 s by default.
         *
         * @param cleanupInterval the time, above 0
         * @return this builder
         */
        public Builder optCleanupInterval(Duration cleanupInterval) {
            this.cleanupInterval = cleanupInterval;
            return this;
        }

        /**
         * Sets after what time without use an adapter leaves the device; 30 minutes by default.
         *
         * @param cleanupAge the time, above 0
         * @return this builder
         */
        public Builder optCleanupAge(Duration cleanupAge) {
            this.cleanupAge = cleanupAge;
            return this;
        }

        /**
         * Sets whether adapters are loaded that are likely to be asked for, while there is nothing
         * else to load; true by default.
         *
         * @param prefetchEnabled whether
         * @return this builder
         */
        public Builder optPrefetchEnabled(boolean prefetchEnabled) {
            this.prefetchEnabled = prefetchEnabled;
            return this;
        }

        /**
         * Sets how often adapters are looked for to prefetch; every 200 ms by default.
         *
         * @param prefetchInterval the time, above 0
         * @return this builder
         */
        public Builder optPrefetchInterval(Duration prefetchInterval) {
            this.prefetchInterval = prefetchInterval;
            return this;
        }

        /**
         * Sets how many adapters are prefetched at a time; 2 by default.
         *
         * @param prefetchCount the number, 1 or more
         * @return this builder
         */
        public Builder optPrefetchCount(int prefetchCount) {
            this.prefetchCount = prefetchCount;
            return this;
        }

        /**
         * Sets whether memory is watched and adapters leave when it is short; true by default.
         *
         * @param monitoringEnabled whether
         * @return this builder
         */
        public Builder optMonitoringEnabled(boolean monitoringEnabled) {
            this.monitoringEnabled = monitoringEnabled;
            return this;
        }

        /**
         * Sets from what use of memory on adapters leave.
         *
         * @param memory the value
         * @return this builder
         */
        public Builder optMemory(MemoryOptions memory) {
            this.memory = memory;
            return this;
        }

        /**
         * Sets which memory is watched; the host's by default, as far as this process may use it.
         *
         * @param memorySource the memory
         * @return this builder
         */
        public Builder optMemorySource(MemorySource memorySource) {
            this.memorySource = memorySource;
            return this;
        }

        /**
         * Sets which memory the device tier lies in, where it is not the one that {@link
         * #optMemorySource} watches. By default it is that of the GPU that the model lies on, as
         * the driver tells.
         *
         * @param deviceMemorySource the memory
         * @return this builder
         */
        public Builder optDeviceMemorySource(MemorySource deviceMemorySource) {
            this.deviceMemorySource = deviceMemorySource;
            return this;
        }

        /**
         * Sets what happens when an adapter cannot be had, where a request does not say; the
         * request fails by default.
         *
         * @param unavailable the value
         * @return this builder
         */
        public Builder optUnavailable(UnavailablePolicy unavailable) {
            this.unavailable = unavailable;
            return this;
        }

        /**
         * Sets the highest rank that an adapter may have, whatever its own policy allows; none is
         * too high by default.
         *
         * @param maxRank the rank
         * @return this builder
         */
        public Builder optMaxRank(int maxRank) {
            this.maxRank = maxRank;
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         * @throws LoraConfigurationException if a value is not allowed, naming it
         */
        public StoreOptions build() {
            check("acquireTimeout", acquireTimeout);
            check("loadTimeout", loadTimeout);
            check("offloadTimeout", offloadTimeout);
            check("loadWorkers", loadWorkers);
            check("offloadWorkers", offloadWorkers);
            check("moveQueue", moveQueue);
            check("retryAfter", retryAfter);
            check("longestRetry", longestRetry);
            check("compressAfter", compressAfter);
            check("cleanupInterval", cleanupInterval);
            check("cleanupAge", cleanupAge);
            check("prefetchInterval", prefetchInterval);
            check("prefetchCount", prefetchCount);
            check("maxRank", maxRank);
            if (!(prunedShare > 0 && prunedShare < 1)) {
                throw new LoraConfigurationException(
                        "prunedShare is " + prunedShare + "; it must be above 0 and below 1");
            }
            if (longestRetry.compareTo(retryAfter) < 0) {
                throw new LoraConfigurationException(
                        "longestRetry is "
                                + longestRetry
                                + "; it must be at least retryAfter, "
                                + retryAfter);
            }
            checkStrategy("device", device);
            checkStrategy("host", host);
            return new StoreOptions(this);
        }

        private void checkStrategy(String tier, TierOptions options) {
            if (!strategies.names().contains(options.strategy())) {
                throw new LoraConfigurationException(
                        "The "
                                + tier
                                + " tier's strategy is \""
                                + options.strategy()
                                + "\"; allowed are "
                                + String.join(", ", strategies.names()));
            }
        }

        private static void check(String name, int value) {
            if (value < 1) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be 1 or more");
            }
        }

        private static void check(String name, Duration value) {
            // longer ones do not fit the nanoseconds that they are waited for in
            if (value.isNegative() || value.isZero() || value.compareTo(LONGEST_TIME) > 0) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be above 0 and at most " + LONGEST_TIME);
            }
        }
    }
}
