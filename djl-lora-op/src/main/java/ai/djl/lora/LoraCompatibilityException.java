/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when an adapter does not fit the base model. */
public class LoraCompatibilityException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraCompatibilityException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraCompatibilityException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraCompatibilityException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraCompatibilityException(String message, Throwable cause) {
        super(message, cause);
    }
}
