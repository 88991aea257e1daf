/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * Says that a memory's use has crossed a threshold for people to know of.
 *
 * @param level which threshold
 * @param raised true as the use reaches it; false as it is clearly below again
 * @param sample what was measured
 */
public record MemoryAlert(Level level, boolean raised, MemorySample sample) {

    /** The thresholds. */
    public enum Level {
        /** See {@link MemoryOptions#warningAlert()}. */
        WARNING,
        /** See {@link MemoryOptions#criticalAlert()}. */
        CRITICAL
    }
}
