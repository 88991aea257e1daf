/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * Turns the share of a memory that is in use into levels that do not flutter.
 *
 * <p>A level is entered at its own threshold and left below the threshold of the level beneath it;
 * soft pressure is left below {@link MemoryOptions#restorePressure()}. So a use that stays between
 * two thresholds changes nothing, and a critical one does not hold up loads until everything is
 * empty.
 */
final class PressureGauge {

    private final MemoryOptions options;
    private PressureLevel level = PressureLevel.NONE;

    PressureGauge(MemoryOptions options) {
        this.options = options;
    }

    PressureLevel level() {
        return level;
    }

    /** Takes a new share in, and returns the level from now on. */
    PressureLevel update(double ratio) {
        PressureLevel next = PressureLevel.NONE;
        for (PressureLevel each : PressureLevel.values()) {
            boolean held = each.compareTo(level) <= 0;
            if (ratio >= (held ? leaving(each) : entering(each))) {
                next = each;
            }
        }
        level = next;
        return next;
    }

    private double entering(PressureLevel each) {
        return switch (each) {
            case NONE -> 0;
            case SOFT -> options.softPressure();
            case HARD -> options.hardPressure();
            case CRITICAL -> options.criticalPressure();
        };
    }

    private double leaving(PressureLevel each) {
        return switch (each) {
            case NONE -> 0;
            case SOFT -> options.restorePressure();
            case HARD -> options.softPressure();
            case CRITICAL -> options.hardPressure();
        };
    }
}
