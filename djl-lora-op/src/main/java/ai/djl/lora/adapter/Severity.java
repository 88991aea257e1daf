/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/** How grave an {@link Issue} is. */
public enum Severity {
    /** Forbids the use of the adapter. */
    ERROR,
    /** Deserves a look, and does not forbid the use. */
    WARNING,
    /** Worth knowing. */
    INFO
}
