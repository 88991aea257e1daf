/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraException;

/** The engine's queue is full: the request was not taken, and may be tried again later. */
public class EngineBusyException extends LoraException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code EngineBusyException} instance.
     *
     * @param message what is full
     */
    public EngineBusyException(String message) {
        super(message);
    }
}
