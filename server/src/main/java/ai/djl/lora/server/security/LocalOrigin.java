/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import java.net.URI;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Keeps pages of the web from a server that asks nobody for a key: a browser on this machine would
 * carry their requests to it. They are told by the headers {@code Origin}, and {@code Host} where a
 * page's own name was made to lead here (DNS rebinding).
 */
final class LocalOrigin {

    private static final Pattern LOOPBACK = Pattern.compile("127(\\.\\d{1,3}){3}|\\[?::1]?");

    private LocalOrigin() {}

    static void check(Request request) {
        Optional<String> host = request.header("host").map(LocalOrigin::withoutPort);
        // a name without a point is nobody's on the web
        if (host.isPresent() && host.get().contains(".") && !isLocal(host.get())) {
            throw foreign("Host names another machine");
        }
        Optional<String> origin = request.header("origin");
        if (origin.isPresent() && !isLocal(hostOf(origin.get()))) {
            throw foreign("Origin is a page of another machine");
        }
    }

    private static HttpFailure foreign(String why) {
        return new HttpFailure(
                403, "foreign_origin", why + "; a server without keys answers this machine alone");
    }

    private static String withoutPort(String host) {
        return host.replaceFirst(":\\d*$", "");
    }

    private static String hostOf(String origin) {
        try {
            return String.valueOf(URI.create(origin).getHost());
        } catch (IllegalArgumentException e) {
            // such as "null", of a page without an address
            return "";
        }
    }

    private static boolean isLocal(String host) {
        String name = host.toLowerCase(Locale.ROOT);
        return "localhost".equals(name)
                || name.endsWith(".localhost")
                || LOOPBACK.matcher(name).matches();
    }
}
