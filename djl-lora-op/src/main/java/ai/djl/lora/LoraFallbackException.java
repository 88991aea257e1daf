/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when every backend that could have taken over a failed step has failed as well. */
public class LoraFallbackException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraFallbackException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraFallbackException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraFallbackException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraFallbackException(String message, Throwable cause) {
        super(message, cause);
    }
}
