/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.http;

/** A failure with the code of its answer. */
public class BadRequestException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    private final int code;

    /**
     * Declares the constructor.
     *
     * @param code the code
     * @param message the reason
     */
    public BadRequestException(int code, String message) {
        super(message);
        this.code = code;
    }

    /**
     * Returns the code.
     *
     * @return the code
     */
    public int getCode() {
        return code;
    }
}
