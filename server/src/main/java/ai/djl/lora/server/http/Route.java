/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.Set;

/**
 * Something that a server does, where it is asked for, and by whom.
 *
 * @param method the method
 * @param path the paths
 * @param permission what a caller must be allowed
 * @param contentTypes the types that its content may have, in lower case; none where content is not
 *     looked at
 * @param upload whether the content may be large, and goes to a file
 * @param errors how clients expect what is wrong
 * @param handler answers
 */
public record Route(
        Method method,
        PathPattern path,
        Permission permission,
        Set<String> contentTypes,
        boolean upload,
        ErrorFormat errors,
        Handler handler) {

    /** How errors are written where nothing else is said. */
    public static final ErrorFormat DEFAULT_ERRORS = new OpenAiErrors();

    private static final String JSON = "application/json";

    /**
     * Constructs a new {@code Route} instance.
     *
     * @param method the method
     * @param path the paths
     * @param permission what a caller must be allowed
     * @param contentTypes the types that its content may have, in lower case; none where content is
     *     not looked at
     * @param upload whether the content may be large, and goes to a file
     * @param errors how clients expect what is wrong
     * @param handler answers
     */
    public Route {
        contentTypes = Set.copyOf(contentTypes);
    }

    /**
     * Returns a route that looks at no content.
     *
     * @param method the method
     * @param path the pattern of its paths
     * @param permission what a caller must be allowed
     * @param handler answers
     * @return the route
     */
    public static Route of(Method method, String path, Permission permission, Handler handler) {
        return new Route(
                method,
                new PathPattern(path),
                permission,
                Set.of(),
                false,
                DEFAULT_ERRORS,
                handler);
    }

    /**
     * Returns a route that is given JSON.
     *
     * @param method the method
     * @param path the pattern of its paths
     * @param permission what a caller must be allowed
     * @param handler answers
     * @return the route
     */
    public static Route json(Method method, String path, Permission permission, Handler handler) {
        return of(method, path, permission, handler).accepting(Set.of(JSON));
    }

    /**
     * Returns the same route for content of some types.
     *
     * @param types the types, in lower case
     * @return the route
     */
    public Route accepting(Set<String> types) {
        return new Route(method, path, permission, types, upload, errors, handler);
    }

    /**
     * Returns the same route with content that may be large.
     *
     * @return the route
     */
    public Route asUpload() {
        return new Route(method, path, permission, contentTypes, true, errors, handler);
    }

    /**
     * Returns the same route for clients that expect errors in another form.
     *
     * @param format the form
     * @return the route
     */
    public Route withErrors(ErrorFormat format) {
        return new Route(method, path, permission, contentTypes, upload, format, handler);
    }
}
