/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Parts a list of adapters into pages, which stay whole when adapters come and go between them. */
record AdapterPages(List<RegisteredAdapter> page, Optional<String> next) {

    private static final int DEFAULT_LIMIT = 100;
    private static final int MAX_LIMIT = 1000;

    /** Returns the page that a request asks for of adapters that are sorted by name. */
    static AdapterPages of(Request request, List<RegisteredAdapter> adapters) {
        int limit = limit(request);
        Optional<String> after = request.parameter("next_page_token").map(AdapterPages::decode);
        List<RegisteredAdapter> rest =
                adapters.stream()
                        .filter(
                                adapter ->
                                        after.isEmpty()
                                                || adapter.name().compareTo(after.get()) > 0)
                        .limit(limit + 1L)
                        .toList();
        if (rest.size() <= limit) {
            return new AdapterPages(rest, Optional.empty());
        }
        List<RegisteredAdapter> page = rest.subList(0, limit);
        return new AdapterPages(page, Optional.of(encode(page.get(limit - 1).name())));
    }

    private static int limit(Request request) {
        String text = request.parameter("limit").orElse(String.valueOf(DEFAULT_LIMIT));
        try {
            int limit = Integer.parseInt(text);
            if (limit >= 1 && limit <= MAX_LIMIT) {
                return limit;
            }
        } catch (NumberFormatException e) {
            throw wrongLimit(e);
        }
        throw wrongLimit(null);
    }

    private static HttpFailure wrongLimit(Throwable cause) {
        return new HttpFailure(
                400,
                "invalid_request",
                "limit must be a whole number from 1 to " + MAX_LIMIT,
                "limit",
                Map.of(),
                cause);
    }

    private static String encode(String name) {
        return Base64.getUrlEncoder()
                .withoutPadding()
                .encodeToString(name.getBytes(StandardCharsets.UTF_8));
    }

    private static String decode(String token) {
        try {
            return new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new HttpFailure(
                    400,
                    "invalid_request",
                    "next_page_token is not one that a page gave",
                    "next_page_token",
                    Map.of(),
                    e);
        }
    }
}
