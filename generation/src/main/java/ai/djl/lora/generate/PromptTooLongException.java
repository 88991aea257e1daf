/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

/** Thrown when a request's text has more tokens than the model has positions for. */
public class PromptTooLongException extends GenerationRequestException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code PromptTooLongException} instance.
     *
     * @param index the request's place in the batch, from 0
     * @param reason the field of the request, what was found in it and what is allowed
     */
    public PromptTooLongException(int index, String reason) {
        super(index, reason);
    }
}
