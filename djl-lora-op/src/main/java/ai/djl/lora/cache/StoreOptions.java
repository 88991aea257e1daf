/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.policy.EvictionStrategies;
import java.time.Duration;

/**
 * How much an {@link AdapterStore} may hold, what leaves first, and how loads run. Immutable;
 * checked when it is built.
 */
public final class StoreOptions {

    private final TierLimits device;
    private final TierLimits host;
    private final String deviceStrategy;
    private final String hostStrategy;
    private final EvictionStrategies strategies;
    private final Duration acquireTimeout;
    private final Duration loadTimeout;
    private final int loadWorkers;
    private final int loadQueue;
    private final Duration retryAfter;
    private final Duration longestRetry;

    private StoreOptions(Builder builder) {
        device = builder.device;
        host = builder.host;
        deviceStrategy = builder.deviceStrategy;
        hostStrategy = builder.hostStrategy;
        strategies = builder.strategies;
        acquireTimeout = builder.acquireTimeout;
        loadTimeout = builder.loadTimeout;
        loadWorkers = builder.loadWorkers;
        loadQueue = builder.loadQueue;
        retryAfter = builder.retryAfter;
        longestRetry = builder.longestRetry;
    }

    /**
     * Returns a builder with the defaults: 100 adapters on the device and 1,000 in the host's
     * memory, whatever their size; two loads at a time, 100 waiting.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns how much the device tier may hold.
     *
     * @return the limits
     */
    public TierLimits getDevice() {
        return device;
    }

    /**
     * Returns how much the host tier may hold.
     *
     * @return the limits
     */
    public TierLimits getHost() {
        return host;
    }

    /**
     * Returns the name of the strategy by which adapters leave the device.
     *
     * @return the name
     */
    public String getDeviceStrategy() {
        return deviceStrategy;
    }

    /**
     * Returns the name of the strategy by which adapters leave the host's memory.
     *
     * @return the name
     */
    public String getHostStrategy() {
        return hostStrategy;
    }

    /**
     * Returns where strategies are looked up.
     *
     * @return the strategies
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
     * Returns how many loads run at a time.
     *
     * @return the number
     */
    public int getLoadWorkers() {
        return loadWorkers;
    }

    /**
     * Returns how many loads may wait for a worker.
     *
     * @return the number
     */
    public int getLoadQueue() {
        return loadQueue;
    }

    /**
     * Returns after what time an adapter that failed to load is tried again; the time doubles with
     * each failure.
     *
     * @return the time after the first failure
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

    /** Builds {@code StoreOptions}. */
    public static final class Builder {

        private TierLimits device = new TierLimits(100, Long.MAX_VALUE);
        private TierLimits host = new TierLimits(1000, Long.MAX_VALUE);
        private String deviceStrategy = EvictionStrategies.DEFAULT;
        private String hostStrategy = EvictionStrategies.DEFAULT;
        private EvictionStrategies strategies = new EvictionStrategies();
        private Duration acquireTimeout = Duration.ofSeconds(30);
        private Duration loadTimeout = Duration.ofSeconds(15);
        private int loadWorkers = 2;
        private int loadQueue = 100;
        private Duration retryAfter = Duration.ofSeconds(1);
        private Duration longestRetry = Duration.ofMinutes(5);

        private Builder() {}

        /**
         * Sets how much the device tier may hold.
         *
         * @param limits the limits
         * @return this builder
         */
        public Builder optDevice(TierLimits limits) {
            device = limits;
            return this;
        }

        /**
         * Sets how much the host tier may hold; room for no adapter switches it off.
         *
         * @param limits the limits
         * @return this builder
         */
        public Builder optHost(TierLimits limits) {
            host = limits;
            return this;
        }

        /**
         * Sets what leaves the device first.
         *
         * @param name a strategy's name
         * @return this builder
         */
        public Builder optDeviceStrategy(String name) {
            deviceStrategy = name;
            return this;
        }

        /**
         * Sets what leaves the host's memory first.
         *
         * @param name a strategy's name
         * @return this builder
         */
        public Builder optHostStrategy(String name) {
            hostStrategy = name;
            return this;
        }

        /**
         * Sets where strategies are looked up, such as one's own.
         *
         * @param strategies the strategies
         * @return this builder
         */
        public Builder optStrategies(EvictionStrategies strategies) {
            this.strategies = strategies;
            return this;
        }

        /**
         * Sets how long a caller waits for an adapter.
         *
         * @param timeout the time, above 0
         * @return this builder
         */
        public Builder optAcquireTimeout(Duration timeout) {
            acquireTimeout = timeout;
            return this;
        }

        /**
         * Sets how long a load may take, waiting for room included.
         *
         * @param timeout the time, above 0
         * @return this builder
         */
        public Builder optLoadTimeout(Duration timeout) {
            loadTimeout = timeout;
            return this;
        }

        /**
         * Sets how many loads run at a time and how many may wait.
         *
         * @param workers the loads at a time, at least 1
         * @param queue the loads that wait, at least 1
         * @return this builder
         */
        public Builder optLoads(int workers, int queue) {
            loadWorkers = workers;
            loadQueue = queue;
            return this;
        }

        /**
         * Sets when an adapter that failed to load is tried again.
         *
         * @param first the time after the first failure, which doubles with each
         * @param longest the longest time
         * @return this builder
         */
        public Builder optRetry(Duration first, Duration longest) {
            retryAfter = first;
            longestRetry = longest;
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         * @throws LoraConfigurationException if a value is not allowed, naming it
         */
        public StoreOptions build() {
            check("device.adapters", device.adapters(), 1);
            check("device.bytes", device.bytes(), 1);
            check("host.adapters", host.adapters(), 0);
            check("host.bytes", host.bytes(), 0);
            check("loadWorkers", loadWorkers, 1);
            check("loadQueue", loadQueue, 1);
            check("acquireTimeout", acquireTimeout);
            check("loadTimeout", loadTimeout);
            check("retryAfter", retryAfter);
            if (longestRetry.compareTo(retryAfter) < 0) {
                throw new LoraConfigurationException(
                        "longestRetry is "
                                + longestRetry
                                + "; it must be at least retryAfter, "
                                + retryAfter);
            }
            strategies.create(deviceStrategy);
            strategies.create(hostStrategy);
            return new StoreOptions(this);
        }

        private static void check(String name, long value, long least) {
            if (value < least) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be " + least + " or more");
            }
        }

        private static void check(String name, Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be above 0");
            }
        }
    }
}
