/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

/** Why an adapter has left a tier. */
public enum EvictionCause {
    /** Another adapter needed the room. */
    ROOM,
    /** Nobody had used it for a time. */
    UNUSED,
    /** Memory was short. */
    PRESSURE,
    /** It was asked for. */
    REQUEST,
    /** Its name was taken away, or another revision took its place. */
    RETIRED
}
