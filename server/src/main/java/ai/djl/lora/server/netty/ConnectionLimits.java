/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import java.time.Duration;

/**
 * What one client may take of a server.
 *
 * @param connections the connections at a time, of all clients together
 * @param headerBytes the bytes of a request's headers
 * @param bodyBytes the bytes of a request's content
 * @param uploadBytes the bytes of an upload's content
 * @param headerTime how long a request's headers may take from its first byte, and a new connection
 *     may take to send one
 * @param bodyTime how long a request's content may pause
 * @param idleTime how long a connection may stay open without a request
 * @param stallTime how long a client may take nothing of a response
 * @param queuedRequests the requests that may wait for a thread
 */
public record ConnectionLimits(
        int connections,
        int headerBytes,
        int bodyBytes,
        long uploadBytes,
        Duration headerTime,
        Duration bodyTime,
        Duration idleTime,
        Duration stallTime,
        int queuedRequests) {

    /** The limits where nothing else is said. */
    public static final ConnectionLimits DEFAULTS =
            new ConnectionLimits(
                    4096,
                    16 << 10,
                    8 << 20,
                    4L << 30,
                    Duration.ofSeconds(10),
                    Duration.ofSeconds(30),
                    Duration.ofSeconds(75),
                    Duration.ofSeconds(60),
                    4096);
}
