/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import ai.djl.lora.LoraConfigurationException;
import java.time.Duration;

/**
 * What a {@link MemoryMonitor} goes by. Thresholds are shares of the memory's limit, from 0 to 1.
 *
 * @param sampleInterval the time between two samples; by default 1 s
 * @param historySamples how many samples are kept; by default 600
 * @param warningAlert the use from which on people are warned; by default 0.75
 * @param criticalAlert the use from which on they are alarmed; by default 0.9
 * @param alertHysteresis how far below its threshold the use must be for an alert to end; by
 *     default 0.05
 * @param softPressure the use from which on pressure is soft; by default 0.7
 * @param hardPressure the use from which on pressure is hard; by default 0.8
 * @param criticalPressure the use from which on pressure is critical; by default 0.9
 * @param restorePressure the use below which there is no pressure any more; by default 0.6
 * @param layerOffload the use of a GPU's memory from which on layers of the model are taken to the
 *     host's; by default 0.8
 * @param layerRestore the use below which they are brought back; by default 0.6
 * @param activationSteps how many recent steps tell what the next needs; by default 256
 * @param activationPercentile which of those steps counts; by default 0.95
 * @param activationFactor by how much more than that is kept back; by default 1.5
 */
public record MemoryOptions(
        Duration sampleInterval,
        int historySamples,
        double warningAlert,
        double criticalAlert,
        double alertHysteresis,
        double softPressure,
        double hardPressure,
        double criticalPressure,
        double restorePressure,
        double layerOffload,
        double layerRestore,
        int activationSteps,
        double activationPercentile,
        double activationFactor) {

    private static final int MOST_SAMPLES = 1_000_000;
    private static final Duration SHORTEST_INTERVAL = Duration.ofMillis(1);
    private static final Duration LONGEST_INTERVAL = Duration.ofDays(1);

    /**
     * Constructs a new {@code MemoryOptions} instance.
     *
     * @param sampleInterval the time between two samples, 1 ms to 1 day
     * @param historySamples how many samples are kept, at least 1
     * @param warningAlert above 0 and at most {@code criticalAlert}
     * @param criticalAlert above 0 and at most 1
     * @param alertHysteresis at least 0 and below {@code warningAlert}
     * @param softPressure below {@code hardPressure}
     * @param hardPressure below {@code criticalPressure}
     * @param criticalPressure above 0 and at most 1
     * @param restorePressure above 0 and below {@code softPressure}
     * @param layerOffload above 0 and at most 1
     * @param layerRestore above 0 and below {@code layerOffload}
     * @param activationSteps how many recent steps count, at least 1
     * @param activationPercentile above 0 and at most 1
     * @param activationFactor 1 to 100
     * @throws LoraConfigurationException if a value is out of its range, or thresholds are not in
     *     order
     */
    public MemoryOptions {
        if (sampleInterval.compareTo(SHORTEST_INTERVAL) < 0
                || sampleInterval.compareTo(LONGEST_INTERVAL) > 0) {
            throw new LoraConfigurationException(
                    "sampleInterval is " + sampleInterval + "; allowed are 1 ms to 1 day");
        }
        check("historySamples", historySamples, 1, MOST_SAMPLES);
        check("activationSteps", activationSteps, 1, MOST_SAMPLES);
        checkAbove("criticalAlert", criticalAlert, 0, 1);
        checkAbove("warningAlert", warningAlert, 0, criticalAlert);
        if (!(alertHysteresis >= 0 && alertHysteresis < warningAlert)) {
            throw new LoraConfigurationException(
                    "alertHysteresis is "
                            + alertHysteresis
                            + "; it must be at least 0 and below warningAlert, "
                            + warningAlert);
        }
        checkAbove("criticalPressure", criticalPressure, 0, 1);
        checkBelow("hardPressure", hardPressure, "criticalPressure", criticalPressure);
        checkBelow("softPressure", softPressure, "hardPressure", hardPressure);
        checkBelow("restorePressure", restorePressure, "softPressure", softPressure);
        checkAbove("layerOffload", layerOffload, 0, 1);
        checkBelow("layerRestore", layerRestore, "layerOffload", layerOffload);
        checkAbove("activationPercentile", activationPercentile, 0, 1);
        if (!(activationFactor >= 1 && activationFactor <= 100)) {
            throw new LoraConfigurationException(
                    "activationFactor is " + activationFactor + "; allowed are 1 to 100");
        }
    }

    private static void check(String name, int value, int least, int most) {
        if (value < least || value > most) {
            throw new LoraConfigurationException(
                    name + " is " + value + "; allowed are " + least + " to " + most);
        }
    }

    private static void checkAbove(String name, double value, double over, double most) {
        // written so that NaN fails
        if (!(value > over && value <= most)) {
            throw new LoraConfigurationException(
                    name + " is " + value + "; it must be above " + over + " and at most " + most);
        }
    }

    private static void checkBelow(String name, double value, String other, double most) {
        if (!(value > 0 && value < most)) {
            throw new LoraConfigurationException(
                    name
                            + " is "
                            + value
                            + "; it must be above 0 and below "
                            + other
                            + ", "
                            + most);
        }
    }

    /**
     * Returns the defaults.
     *
     * @return the options
     */
    public static MemoryOptions defaults() {
        return builder().build();
    }

    /**
     * Returns a builder that begins with the defaults.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /** Builds {@code MemoryOptions}. */
    public static final class Builder {

        private Duration sampleInterval = Duration.ofSeconds(1);
        private int historySamples = 600;
        private double warningAlert = 0.75;
        private double criticalAlert = 0.9;
        private double alertHysteresis = 0.05;
        private double softPressure = 0.7;
        private double hardPressure = 0.8;
        private double criticalPressure = 0.9;
        private double restorePressure = 0.6;
        private double layerOffload = 0.8;
        private double layerRestore = 0.6;
        private int activationSteps = 256;
        private double activationPercentile = 0.95;
        private double activationFactor = 1.5;

        private Builder() {}

        /**
         * Sets the time between two samples.
         *
         * @param interval 1 ms to 1 day
         * @return this builder
         */
        public Builder optSampleInterval(Duration interval) {
            this.sampleInterval = interval;
            return this;
        }

        /**
         * Sets how many samples are kept.
         *
         * @param samples at least 1
         * @return this builder
         */
        public Builder optHistorySamples(int samples) {
            this.historySamples = samples;
            return this;
        }

        /**
         * Sets the thresholds of the alerts.
         *
         * @param warning the share from which on people are warned
         * @param critical the share from which on they are alarmed
         * @param hysteresis how far below its threshold an alert ends
         * @return this builder
         */
        public Builder optAlerts(double warning, double critical, double hysteresis) {
            this.warningAlert = warning;
            this.criticalAlert = critical;
            this.alertHysteresis = hysteresis;
            return this;
        }

        /**
         * Sets the thresholds of the pressure.
         *
         * @param restore the share below which there is none any more
         * @param soft the share from which on it is soft
         * @param hard the share from which on it is hard
         * @param critical the share from which on it is critical
         * @return this builder
         */
        public Builder optPressure(double restore, double soft, double hard, double critical) {
            this.restorePressure = restore;
            this.softPressure = soft;
            this.hardPressure = hard;
            this.criticalPressure = critical;
            return this;
        }

        /**
         * Sets when layers of a model on a GPU are moved.
         *
         * @param offload the share of the GPU's memory from which on they are taken to the host's
         * @param restore the share below which they are brought back
         * @return this builder
         */
        public Builder optLayers(double offload, double restore) {
            this.layerOffload = offload;
            this.layerRestore = restore;
            return this;
        }

        /**
         * Sets what is kept back for activations.
         *
         * @param steps how many recent steps count, at least 1
         * @param percentile which of them, above 0 and at most 1
         * @param factor by how much more is kept back, 1 to 100
         * @return this builder
         */
        public Builder optActivations(int steps, double percentile, double factor) {
            this.activationSteps = steps;
            this.activationPercentile = percentile;
            this.activationFactor = factor;
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         * @throws LoraConfigurationException if a value is out of its range, or thresholds are not
         *     in order
         */
        public MemoryOptions build() {
            return new MemoryOptions(
                    sampleInterval,
                    historySamples,
                    warningAlert,
                    criticalAlert,
                    alertHysteresis,
                    softPressure,
                    hardPressure,
                    criticalPressure,
                    restorePressure,
                    layerOffload,
                    layerRestore,
                    activationSteps,
                    activationPercentile,
                    activationFactor);
        }
    }
}
