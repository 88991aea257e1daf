/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Says which paths a route answers: parts between slashes, of which those in braces stand for any
 * text that is not empty, as in {@code /adapters/{id}/pin}. A slash within a part is written {@code
 * %2F}.
 */
public final class PathPattern {

    private final String pattern;
    private final List<String> parts;

    /**
     * Constructs a new {@code PathPattern} instance.
     *
     * @param pattern the pattern
     */
    public PathPattern(String pattern) {
        if (!pattern.startsWith("/")) {
            throw new IllegalArgumentException("pattern is " + pattern + "; it must begin with /");
        }
        this.pattern = pattern;
        this.parts = split(pattern);
    }

    /**
     * Splits a path as it was sent into its parts, not decoded.
     *
     * @param path the path, without what follows a question mark
     * @return the parts; a slash at the end makes none
     */
    static List<String> split(String path) {
        List<String> parts = new ArrayList<>(List.of(path.substring(1).split("/", -1)));
        if (parts.get(parts.size() - 1).isEmpty()) {
            parts.remove(parts.size() - 1);
        }
        return parts;
    }

    /**
     * Compares a path with the pattern.
     *
     * @param path the path's parts, not decoded
     * @return the parts in braces, decoded, by name; empty where the path is another
     * @throws IllegalArgumentException if a part is not encoded as URLs are
     */
    Optional<Map<String, String>> match(List<String> path) {
        if (path.size() != parts.size()) {
            return Optional.empty();
        }
        Map<String, String> variables = new HashMap<>();
        for (int i = 0; i < parts.size(); ++i) {
            String part = parts.get(i);
            if (part.startsWith("{")) {
                String value = decode(path.get(i));
                if (value.isEmpty()) {
                    return Optional.empty();
                }
                variables.put(part.substring(1, part.length() - 1), value);
            } else if (!part.equals(path.get(i))) {
                return Optional.empty();
            }
        }
        return Optional.of(variables);
    }

    /** Returns how many parts stand for any text; of two that match the one with fewer is meant. */
    int variables() {
        return (int) parts.stream().filter(part -> part.startsWith("{")).count();
    }

    private static String decode(String part) {
        // a plus sign is a plus sign in a path
        return URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return pattern;
    }
}
