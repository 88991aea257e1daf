/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Finds the route of a request. */
public final class Router {

    private final List<Route> routes;

    /**
     * Constructs a new {@code Router} instance.
     *
     * @param routes the routes; of those that match a path the one with fewer parts in braces is
     *     meant
     */
    public Router(Collection<Route> routes) {
        this.routes = new ArrayList<>(routes);
        this.routes.sort(Comparator.comparingInt(route -> route.path().variables()));
        for (Route route : this.routes) {
            long same =
                    this.routes.stream()
                            .filter(
                                    other ->
                                            other.method() == route.method()
                                                    && other.path()
                                                            .toString()
                                                            .equals(route.path().toString()))
                            .count();
            if (same > 1) {
                throw new IllegalArgumentException(
                        "two routes answer " + route.method() + " " + route.path());
            }
        }
    }

    /**
     * A route, and what its pattern found in a path.
     *
     * @param route the route
     * @param variables the parts in braces, decoded, by name
     */
    public record Found(Route route, Map<String, String> variables) {}

    /**
     * Returns all routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.copyOf(routes);
    }

    /**
     * Finds the route of a request.
     *
     * @param method the method as it was sent
     * @param path the path as it was sent, without what follows a question mark
     * @return the route
     * @throws HttpFailure of status 404 if no route has that path, of 405 if none of those that
     *     have takes the method, of 400 if the path is not encoded as URLs are
     */
    public Found find(String method, String path) {
        String wanted = "HEAD".equals(method) ? Method.GET.name() : method;
        TreeSet<String> allowed = new TreeSet<>();
        for (Found found : matching(path)) {
            if (found.route().method().name().equals(wanted)) {
                return found;
            }
            allowed.add(found.route().method().name());
            if (found.route().method() == Method.GET) {
                allowed.add("HEAD");
            }
        }
        if (allowed.isEmpty()) {
            throw new HttpFailure(404, "not_found", "there is no " + shown(path) + " here");
        }
        String allow = allowed.stream().collect(Collectors.joining(", "));
        throw new HttpFailure(
                405,
                "method_not_allowed",
                shown(path) + " does not take " + shown(method) + "; it takes " + allow,
                null,
                Map.of("Allow", allow),
                null);
    }

    private List<Found> matching(String path) {
        if (!path.startsWith("/")) {
            throw new HttpFailure(
                    400, "invalid_path", "the path is " + shown(path) + "; it must begin with /");
        }
        try {
            List<String> parts = PathPattern.split(path);
            List<Found> found = new ArrayList<>();
            for (Route route : routes) {
                Optional<Map<String, String>> variables = route.path().match(parts);
                variables.ifPresent(values -> found.add(new Found(route, values)));
            }
            return found;
        } catch (IllegalArgumentException e) {
            throw new HttpFailure(
                    400,
                    "invalid_path",
                    "the path " + shown(path) + " is not encoded as a URL",
                    null,
                    Map.of(),
                    e);
        }
    }

    private static String shown(String text) {
        return text.length() > 200 ? text.substring(0, 200) + "..." : text;
    }
}
