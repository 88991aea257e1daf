/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;

/**
 * Thrown when one request of a batch cannot be generated as it stands. No token of any request of
 * the batch was generated.
 */
public class GenerationRequestException extends LoraConfigurationException {

    private static final long serialVersionUID = 1L;

    /** The request's place in the batch. */
    private final int index;

    /** What is wrong with the request. */
    private final String reason;

    /**
     * Constructs a new {@code GenerationRequestException} instance.
     *
     * @param index the request's place in the batch, from 0
     * @param reason the field of the request, what was found in it and what is allowed
     */
    public GenerationRequestException(int index, String reason) {
        this(index, reason, null);
    }

    /**
     * Constructs a new {@code GenerationRequestException} instance.
     *
     * @param index the request's place in the batch, from 0
     * @param reason the field of the request, what was found in it and what is allowed
     * @param cause the failure underneath, or null
     */
    public GenerationRequestException(int index, String reason, Throwable cause) {
        super("requests[" + index + "]: " + reason, cause);
        this.index = index;
        this.reason = reason;
    }

    /**
     * Returns which request is at fault.
     *
     * @return the request's place in the batch, from 0
     */
    public int getIndex() {
        return index;
    }

    /**
     * Returns what is wrong with the request, for who knows nothing of the batch it is in.
     *
     * @return the message without the request's place
     */
    public String getReason() {
        return reason;
    }
}
