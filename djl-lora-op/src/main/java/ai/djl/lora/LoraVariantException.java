/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when an adapter is of a kind that is not supported. */
public class LoraVariantException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraVariantException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraVariantException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraVariantException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraVariantException(String message, Throwable cause) {
        super(message, cause);
    }
}
