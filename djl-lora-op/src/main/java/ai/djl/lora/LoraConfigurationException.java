/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/** Thrown when a configuration, an argument or a file's own description of itself is wrong. */
public class LoraConfigurationException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraConfigurationException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraConfigurationException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraConfigurationException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraConfigurationException(String message, Throwable cause) {
        super(message, cause);
    }
}
