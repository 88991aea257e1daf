/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/**
 * Thrown when a backend is not there, cannot do what is asked of it, or fails in the middle of
 * work.
 */
public class LoraBackendException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraBackendException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraBackendException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraBackendException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraBackendException(String message, Throwable cause) {
        super(message, cause);
    }
}
