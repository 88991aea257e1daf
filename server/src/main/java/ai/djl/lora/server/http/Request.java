/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.net.InetAddress;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/**
 * A request that has come whole.
 *
 * @param id names the request in logs and in its response
 * @param method the method
 * @param path the path, decoded
 * @param variables the parts of the path that the route's pattern names
 * @param query the parameters behind the path, decoded; some may be given more than once
 * @param headers the headers by name, in lower case
 * @param body the content
 * @param remote from where it came
 * @param caller who sent it
 * @param gone completes when the client has gone before it was answered
 */
public record Request(
        String id,
        Method method,
        String path,
        Map<String, String> variables,
        Map<String, List<String>> query,
        Map<String, List<String>> headers,
        Body body,
        InetAddress remote,
        Caller caller,
        CompletableFuture<Void> gone) {

    /**
     * Constructs a new {@code Request} instance.
     *
     * @param id names the request in logs and in its response
     * @param method the method
     * @param path the path, decoded
     * @param variables the parts of the path that the route's pattern names
     * @param query the parameters behind the path, decoded; some may be given more than once
     * @param headers the headers by name, in lower case
     * @param body the content
     * @param remote from where it came
     * @param caller who sent it
     * @param gone completes when the client has gone before it was answered
     */
    public Request {
        variables = Map.copyOf(variables);
        query = new LinkedHashMap<>(query);
        headers = new TreeMap<>(headers);
    }

    /**
     * Returns a header.
     *
     * @param name its name, in lower case
     * @return its value; empty where there is none
     * @throws HttpFailure if it is given more than once
     */
    public Optional<String> header(String name) {
        return single("the header " + name, headers.get(name));
    }

    /**
     * Returns a parameter behind the path.
     *
     * @param name its name
     * @return its value; empty where there is none
     * @throws HttpFailure if it is given more than once
     */
    public Optional<String> parameter(String name) {
        return single("the parameter " + name, query.get(name));
    }

    /**
     * Returns a part of the path.
     *
     * @param name its name in the route's pattern
     * @return the part, decoded
     */
    public String variable(String name) {
        String value = variables.get(name);
        if (value == null) {
            throw new IllegalArgumentException("the route's path has no {" + name + "}");
        }
        return value;
    }

    /**
     * Returns the same request of a known caller.
     *
     * @param known who sent it
     * @return the request
     */
    public Request from(Caller known) {
        return new Request(id, method, path, variables, query, headers, body, remote, known, gone);
    }

    private static Optional<String> single(String what, List<String> values) {
        if (values == null || values.isEmpty()) {
            return Optional.empty();
        }
        if (values.size() > 1) {
            throw HttpFailure.badRequest(
                    null, what + " is given " + values.size() + " times; give it once");
        }
        return Optional.of(values.get(0));
    }
}
