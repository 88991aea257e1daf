/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when there is not enough memory for an adapter or a request. */
public class LoraMemoryException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraMemoryException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraMemoryException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraMemoryException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraMemoryException(String message, Throwable cause) {
        super(message, cause);
    }
}
