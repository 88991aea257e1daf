/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

/** The methods that routes answer; HEAD is answered as GET, without a body. */
public enum Method {
    /** Reads. */
    GET,
    /** Does something. */
    POST,
    /** Sets. */
    PUT,
    /** Changes a part. */
    PATCH,
    /** Removes. */
    DELETE
}
