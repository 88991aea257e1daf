/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Refusal;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.RequestOutcome;
import com.google.gson.JsonObject;
import java.util.Locale;

/** What every line of a log of requests has, in an order that is good to read. */
final class JsonLine {

    private JsonLine() {}

    /** Begins a line with when, what and who. */
    static JsonObject begin(RequestOutcome outcome) {
        Request request = outcome.request();
        JsonObject line = new JsonObject();
        line.addProperty("time", outcome.start().toString());
        line.addProperty("request", request.id());
        line.addProperty("method", request.method().name());
        // the pattern and not the path, in which a client may have put anything
        line.addProperty("route", outcome.route().path().toString());
        line.addProperty("remote", request.remote().getHostAddress());
        if (!request.caller().name().isEmpty()) {
            line.addProperty("caller", request.caller().name());
        }
        if (!request.caller().tenant().isEmpty()) {
            line.addProperty("tenant", request.caller().tenant());
        }
        return line;
    }

    /** Returns the line of a request that no route has seen. */
    static JsonObject of(Refusal refusal) {
        JsonObject line = new JsonObject();
        line.addProperty("time", refusal.start().toString());
        line.addProperty("request", refusal.id());
        if (!refusal.method().isEmpty()) {
            line.addProperty("method", refusal.method());
        }
        refusal.route().ifPresent(route -> line.addProperty("route", route.path().toString()));
        line.addProperty("remote", refusal.remote().getHostAddress());
        line.addProperty("status", refusal.status());
        line.addProperty("end", "refused");
        line.addProperty("reason", refusal.code());
        return line;
    }

    static void end(RequestOutcome outcome, JsonObject line) {
        line.addProperty("status", outcome.status());
        line.addProperty("end", outcome.end().name().toLowerCase(Locale.ROOT));
    }

    static boolean isManagement(RequestOutcome outcome) {
        return outcome.route().permission() == Permission.MANAGE;
    }
}
