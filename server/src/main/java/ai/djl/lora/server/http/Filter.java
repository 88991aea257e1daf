/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.concurrent.CompletionStage;

/** Stands before the routes: it may refuse a request, or look at it and at its response. */
@FunctionalInterface
public interface Filter {

    /**
     * Lets a request through, or not.
     *
     * @param request the request
     * @param route the route that it is for
     * @param next what comes behind: further filters, and then the route
     * @return the response
     * @throws RuntimeException why the request is refused
     */
    CompletionStage<Response> filter(Request request, Route route, Handler next);
}
