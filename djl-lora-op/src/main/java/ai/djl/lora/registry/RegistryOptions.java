/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import java.time.Clock;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Objects;

/** How a registry keeps its records. */
public final class RegistryOptions {

    private final int maxRevisions;
    private final long compactionBytes;
    private final Duration statisticsInterval;
    private final Duration halfLife;
    private final InstantSource clock;

    private RegistryOptions(Builder builder) {
        maxRevisions = builder.maxRevisions;
        compactionBytes = builder.compactionBytes;
        statisticsInterval = builder.statisticsInterval;
        halfLife = builder.halfLife;
        clock = builder.clock;
    }

    /**
     * Returns a builder.
     *
     * @return a builder with the defaults set
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns how many revisions of an adapter stay on record, the current one among them.
     *
     * @return the number, at least 1
     */
    public int maxRevisions() {
        return maxRevisions;
    }

    /**
     * Returns how many bytes of changes the log may hold besides its snapshot, however small that
     * is.
     *
     * @return the number of bytes
     */
    public long compactionBytes() {
        return compactionBytes;
    }

    /**
     * Returns how often the access statistics are written.
     *
     * @return the interval; zero to write them when the registry is closed alone
     */
    public Duration statisticsInterval() {
        return statisticsInterval;
    }

    /**
     * Returns after how long an access counts half in an adapter's frequency.
     *
     * @return the half-life
     */
    public Duration halfLife() {
        return halfLife;
    }

    /**
     * Returns the source of the present time.
     *
     * @return the clock
     */
    public InstantSource clock() {
        return clock;
    }

    /** The builder of {@link RegistryOptions}. */
    public static final class Builder {

        private int maxRevisions = 8;
        private long compactionBytes = 1 << 20;
        private Duration statisticsInterval = Duration.ofMinutes(1);
        private Duration halfLife = Duration.ofHours(1);
        private InstantSource clock = Clock.systemUTC();

        private Builder() {}

        /**
         * Sets how many revisions of an adapter stay on record; 8 by default.
         *
         * @param maxRevisions the number with the current one, 1 to 64
         * @return this builder
         */
        public Builder optMaxRevisions(int maxRevisions) {
            check("maxRevisions", maxRevisions, maxRevisions >= 1 && maxRevisions <= 64, "1 to 64");
            this.maxRevisions = maxRevisions;
            return this;
        }

        /**
         * Sets how many bytes of changes the log may hold besides its snapshot before it is written
         * anew; 1 MiB by default, and never less than the snapshot has.
         *
         * @param compactionBytes the number of bytes, at least 1,024
         * @return this builder
         */
        public Builder optCompactionBytes(long compactionBytes) {
            check("compactionBytes", compactionBytes, compactionBytes >= 1024, "1024 and more");
            this.compactionBytes = compactionBytes;
            return this;
        }

        /**
         * Sets how often the access statistics are written; every minute by default. A crash loses
         * what was counted since.
         *
         * @param statisticsInterval the interval, at least a second; or zero to write them when the
         *     registry is closed alone
         * @return this builder
         */
        public Builder optStatisticsInterval(Duration statisticsInterval) {
            boolean allowed =
                    statisticsInterval.isZero()
                            || statisticsInterval.compareTo(Duration.ofSeconds(1)) >= 0;
            check("statisticsInterval", statisticsInterval, allowed, "PT0S, and PT1S and more");
            this.statisticsInterval = statisticsInterval;
            return this;
        }

        /**
         * Sets after how long an access counts half in an adapter's frequency; one hour by default.
         *
         * @param halfLife the half-life, from a second to 10,000 days
         * @return this builder
         */
        public Builder optHalfLife(Duration halfLife) {
            boolean allowed =
                    halfLife.compareTo(Duration.ofSeconds(1)) >= 0
                            && halfLife.compareTo(Duration.ofDays(10_000)) <= 0;
            check("halfLife", halfLife, allowed, "PT1S to PT240000H");
            this.halfLife = halfLife;
            return this;
        }

        /**
         * Sets the source of the present time; the system's by default.
         *
         * @param clock the clock
         * @return this builder
         */
        public Builder optClock(InstantSource clock) {
            this.clock = Objects.requireNonNull(clock, "clock");
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         */
        public RegistryOptions build() {
            return new RegistryOptions(this);
        }

        private static void check(String name, Object value, boolean allowed, String range) {
            if (!allowed) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; allowed are " + range);
            }
        }
    }
}
