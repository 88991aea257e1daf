/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/** One threshold of an alert: told of once as it is reached, and once as it is clearly left. */
final class AlertGauge {

    private final MemoryAlert.Level level;
    private final double threshold;
    private final double clear;
    private boolean raised;

    AlertGauge(MemoryAlert.Level level, double threshold, double hysteresis) {
        this.level = level;
        this.threshold = threshold;
        this.clear = threshold - hysteresis;
    }

    MemoryAlert.Level level() {
        return level;
    }

    boolean isRaised() {
        return raised;
    }

    /** Takes a new share in, and returns whether that is news. */
    boolean update(double ratio) {
        boolean now = ratio >= (raised ? clear : threshold);
        boolean news = now != raised;
        raised = now;
        return news;
    }
}
