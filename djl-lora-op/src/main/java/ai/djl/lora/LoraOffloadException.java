/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when an adapter or a layer cannot be moved between the kinds of memory. */
public class LoraOffloadException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraOffloadException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraOffloadException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraOffloadException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraOffloadException(String message, Throwable cause) {
        super(message, cause);
    }
}
