/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;

/** Tells which requests belong together and must get the same revision of an adapter. */
public final class Sessions {

    private static final int LONGEST = 512;

    private Sessions() {}

    /**
     * Returns the session of a request.
     *
     * @param request the request, which may have the header {@code X-Session-Id}
     * @param body its body, which may have the field {@code user}, OpenAI's name for the end user
     * @return the session; "" where there is none
     */
    public static String of(Request request, BodyFields body) {
        String user = body.text("user").orElse("");
        String session = request.header("x-session-id").orElse(user);
        if (session.length() > LONGEST) {
            throw HttpFailure.badRequest(
                    null,
                    "the session has " + session.length() + " characters, allowed are " + LONGEST);
        }
        return session;
    }
}
