/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Leads requests through the filters to their routes, and makes responses of what fails there. */
public final class Dispatcher {

    /** Names a request in its response and in logs. */
    public static final String REQUEST_ID = "X-Request-Id";

    private final Router router;
    private final List<Filter> filters;
    private final Admission admission;
    private final Observers observers;

    /** Says whether a request's content is taken that may be large, before it comes. */
    @FunctionalInterface
    public interface Admission {

        /**
         * Refuses a request, or not. It may take its time.
         *
         * @param request the request, without its content
         * @param route its route
         * @throws RuntimeException why the request is refused
         */
        void check(Request request, Route route);
    }

    /**
     * Constructs a new {@code Dispatcher} instance.
     *
     * @param router finds routes
     * @param filters what stands before them, the first outermost
     */
    public Dispatcher(Router router, List<Filter> filters) {
        this(router, filters, (request, route) -> {}, new Observers(List.of()));
    }

    /**
     * Constructs a new {@code Dispatcher} instance.
     *
     * @param router finds routes
     * @param filters what stands before them, the first outermost
     * @param admission says whose large content is taken
     * @param observers who is told of requests that are refused before they have come whole
     */
    public Dispatcher(
            Router router, List<Filter> filters, Admission admission, Observers observers) {
        this.router = router;
        this.filters = List.copyOf(filters);
        this.admission = admission;
        this.observers = observers;
    }

    /**
     * Returns who says whether large content is taken.
     *
     * @return the admission
     */
    public Admission admission() {
        return admission;
    }

    /**
     * Returns who is told of requests that are refused before they have come whole.
     *
     * @return the observers
     */
    public Observers observers() {
        return observers;
    }

    /**
     * Returns what finds routes.
     *
     * @return the router
     */
    public Router router() {
        return router;
    }

    /**
     * Answers a request.
     *
     * @param request the request
     * @param route its route
     * @return the response, which always comes
     */
    public CompletionStage<Response> dispatch(Request request, Route route) {
        Handler handler = route.handler();
        for (int i = filters.size() - 1; i >= 0; --i) {
            Filter filter = filters.get(i);
            Handler next = guarded(route, handler);
            handler = passed -> filter.filter(passed, route, next);
        }
        return guarded(route, handler).handle(request).thenApply(r -> named(request.id(), r));
    }

    /**
     * Makes a response of a failure.
     *
     * @param requestId the request's id
     * @param format how it is written
     * @param failure what was thrown
     * @return the response
     */
    public static Response.Whole failed(
            String requestId, ErrorFormat format, Throwable failure) {
        HttpFailure known = Failures.of(requestId, failure);
        Response.Whole response = Response.json(known.status(), format.write(known));
        for (var header : known.headers().entrySet()) {
            response = response.with(header.getKey(), header.getValue());
        }
        return response.headers().containsKey(REQUEST_ID)
                ? response
                : response.with(REQUEST_ID, requestId);
    }

    private static Response named(String requestId, Response response) {
        return response.headers().containsKey(REQUEST_ID)
                ? response
                : response.with(REQUEST_ID, requestId);
    }

    /** Returns a handler that answers with a response whatever happens, so that filters see it. */
    private static Handler guarded(Route route, Handler handler) {
        return request -> {
            CompletionStage<Response> answer;
            try {
                answer = handler.handle(request);
            } catch (RuntimeException | LinkageError | StackOverflowError e) {
                // a library that is not there must not leave a client waiting either
                answer = CompletableFuture.failedFuture(e);
            }
            return answer.exceptionally(e -> failed(request.id(), route.errors(), e));
        };
    }
}
