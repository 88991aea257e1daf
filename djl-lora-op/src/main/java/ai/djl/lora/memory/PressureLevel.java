/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/** How near a memory is to its limit, from nothing to do to everything at once. */
public enum PressureLevel {
    /** There is room. */
    NONE,
    /** Adapters should leave in the background. */
    SOFT,
    /** Adapters should leave now. */
    HARD,
    /** Nothing more may be loaded, and what can be let go must be. */
    CRITICAL
}
