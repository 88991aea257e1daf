/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.concurrent.CompletionStage;

/** Answers the requests of a route. */
@FunctionalInterface
public interface Handler {

    /**
     * Answers a request. Called on a thread that may wait for what is near, such as a file, but not
     * for an answer's text: that comes by the stage.
     *
     * @param request the request
     * @return the response, or why there is none
     * @throws RuntimeException why the request is refused
     */
    CompletionStage<Response> handle(Request request);
}
