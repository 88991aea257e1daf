/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora;

/**
 * Thrown when djl-lora cannot do what was asked.
 *
 * <p>Each message names the thing at fault, what was found and what is allowed. At DJL's own
 * boundaries these failures travel as the cause of DJL's types: {@code MalformedModelException}
 * when a model is loaded and {@code TranslateException} from a predictor.
 */
public class LoraException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code LoraException} instance.
     *
     * @param message what failed, what was found and what is allowed
     */
    public LoraException(String message) {
        super(message);
    }

    /**
     * Constructs a new {@code LoraException} instance.
     *
     * @param message what failed, what was found and what is allowed
     * @param cause the failure underneath
     */
    public LoraException(String message, Throwable cause) {
        super(message, cause);
    }
}
