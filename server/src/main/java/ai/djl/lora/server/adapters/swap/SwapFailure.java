/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import ai.djl.lora.server.http.HttpFailure;

/** Why a revision did not take the place of the one that serves, and at which step. */
public final class SwapFailure extends HttpFailure {

    private static final long serialVersionUID = 1L;

    /** The step that failed. */
    private final SwapStep step;

    /**
     * Constructs a new {@code SwapFailure} instance.
     *
     * @param step the step
     * @param failure why it failed
     */
    public SwapFailure(SwapStep step, HttpFailure failure) {
        super(
                failure.status(),
                failure.code(),
                failure.getMessage(),
                failure.parameter(),
                failure.headers(),
                // a failure that was made of no other may show the caller's own paths
                failure.getCause());
        this.step = step;
    }

    /**
     * Returns the step that failed.
     *
     * @return the step
     */
    public SwapStep step() {
        return step;
    }
}
