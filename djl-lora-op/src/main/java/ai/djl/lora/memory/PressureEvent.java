/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/**
 * A change of the pressure on a memory.
 *
 * @param previous the level before
 * @param level the level from now on
 * @param sample what was measured
 */
public record PressureEvent(PressureLevel previous, PressureLevel level, MemorySample sample) {}
