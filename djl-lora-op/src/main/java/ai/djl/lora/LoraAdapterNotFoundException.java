/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/**
 * Thrown when something is asked of an adapter that is not registered, or not any more. Whoever
 * answers requests tells it apart from other mistakes by this type.
 */
public class LoraAdapterNotFoundException extends LoraConfigurationException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraAdapterNotFoundException} instance.
     *
     * @param message which adapter was asked for, and which there are
     */
    public LoraAdapterNotFoundException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraAdapterNotFoundException} instance.
     *
     * @param message which adapter was asked for, and which there are
     * @param cause the failure underneath
     */
    public LoraAdapterNotFoundException(String message, Throwable cause) {
        super(message, cause);
    }
}
