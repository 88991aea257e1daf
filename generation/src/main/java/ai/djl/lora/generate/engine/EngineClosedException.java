/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.util.concurrent.CancellationException;

/**
 * A request has not ended because its engine has. Another engine of the model may be asked the
 * same.
 */
public final class EngineClosedException extends CancellationException {

    private static final long serialVersionUID = 1L;

    /**
     * Constructs a new {@code EngineClosedException} instance.
     *
     * @param message what has ended
     */
    public EngineClosedException(String message) {
        super(message);
    }
}
