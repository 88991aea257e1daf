/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * A request that was refused before it had come whole, so that no route has seen it.
 *
 * @param id the request's id
 * @param method the method as it was sent; "" where not even that could be read
 * @param route the route that it was for; empty where there is none
 * @param remote from where it came
 * @param status the status of the response
 * @param code why, in one word
 * @param bytes the length of the response's body
 * @param start when its first line came
 * @param time how long it took from then
 */
public record Refusal(
        String id,
        String method,
        Optional<Route> route,
        InetAddress remote,
        int status,
        String code,
        long bytes,
        Instant start,
        Duration time) {}
