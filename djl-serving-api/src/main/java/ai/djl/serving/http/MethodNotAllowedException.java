/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.http;

/** A failure of code 405. */
public class MethodNotAllowedException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** Declares the constructor. */
    public MethodNotAllowedException() {
        super("a declaration");
    }
}
