/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalInt;

/**
 * For whom a request is, how urgent it is and for how long it may wait for its first step. The
 * latter two are fields of the body or headers; a field comes before a header.
 *
 * @param tenant the caller's tenant
 * @param priority the priority; the greater come first
 * @param deadlineMillis how long it may wait; 0 for any time
 */
record Urgency(String tenant, int priority, int deadlineMillis) {

    /**
     * Reads what a request says.
     *
     * @param request the request
     * @param body its body
     * @return what it says
     */
    static Urgency read(Request request, BodyFields body) {
        int priority = whole(request, body, "priority", "x-priority").orElse(0);
        OptionalInt deadline = whole(request, body, "deadline_ms", "x-deadline-ms");
        if (deadline.isPresent() && deadline.getAsInt() < 1) {
            throw body.wrong("deadline_ms", "is " + deadline.getAsInt() + "; it must be above 0");
        }
        return new Urgency(request.caller().tenant(), priority, deadline.orElse(0));
    }

    private static OptionalInt whole(
            Request request, BodyFields body, String field, String header) {
        OptionalInt given = body.whole(field);
        String text = request.header(header).orElse(null);
        if (given.isPresent() || text == null) {
            return given;
        }
        try {
            return OptionalInt.of(Integer.parseInt(text));
        } catch (NumberFormatException e) {
            throw new HttpFailure(
                    400,
                    "invalid_request",
                    "the header " + header + " is no whole number of 32 bits",
                    null,
                    Map.of(),
                    e);
        }
    }

    /** Says it to the engine. */
    Submission.Builder over(Submission.Builder builder) {
        builder.optTenant(tenant).optPriority(priority);
        return deadlineMillis == 0
                ? builder
                : builder.optDeadline(Duration.ofMillis(deadlineMillis));
    }
}
