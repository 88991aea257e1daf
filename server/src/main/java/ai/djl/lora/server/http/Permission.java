/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

/** What a caller must be allowed in order to use a route. */
public enum Permission {
    /** Nothing: probes of whether the server is there. */
    NONE,
    /** To have text generated, and to see the adapters that it may use. */
    INFER,
    /** To change adapters and to see everything. */
    MANAGE
}
