/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

/**
 * Who answers in the place of an adapter that could not be had.
 *
 * @param by who
 * @param reason why the adapter could not be had
 */
public record Substitution(By by, String reason) {

    /** Who answers. */
    public enum By {
        /** The revision before the adapter's current one. */
        PREVIOUS_REVISION,
        /** The base model without an adapter. */
        BASE
    }
}
