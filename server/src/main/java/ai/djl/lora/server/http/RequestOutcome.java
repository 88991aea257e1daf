/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

/**
 * What came of a request.
 *
 * @param request the request, with its caller where that was found out
 * @param route its route
 * @param status the response's status
 * @param headers the response's headers
 * @param bytes how long the response's content was, as far as the client took it
 * @param start when the request had come
 * @param time how long it took to make the response to its end
 * @param end how the response ended
 */
public record RequestOutcome(
        Request request,
        Route route,
        int status,
        Map<String, String> headers,
        long bytes,
        Instant start,
        Duration time,
        End end) {

    /** Names the adapter that gave an answer. */
    public static final String ADAPTER = "X-Adapter";

    /** Names the revision of the adapter that gave an answer. */
    public static final String REVISION = "X-Adapter-Revision";

    /** How a response ended. */
    public enum End {
        /** It was made whole. */
        WHOLE,
        /** The client went before it had all of it. */
        CANCELLED,
        /** It broke off. */
        BROKEN
    }

    /**
     * Returns a header of the response.
     *
     * @param name its name
     * @return its value; empty where there is none
     */
    public Optional<String> header(String name) {
        return headers.entrySet().stream()
                .filter(header -> header.getKey().equalsIgnoreCase(name))
                .map(Map.Entry::getValue)
                .findFirst();
    }
}
