/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Refusal;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.RequestOutcome;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notes each call of management that changes something, or tried to, on the logger {@value #LOGGER}
 * at level INFO: a line of JSON with who, what, on which adapter and what came of it. Nothing else
 * of what was sent is noted.
 */
public final class AuditLog implements RequestObserver {

    /** The name of the logger. */
    public static final String LOGGER = "ai.djl.lora.audit";

    private static final Logger logger = LoggerFactory.getLogger(LOGGER);

    /** Where the routes take an adapter's name from. */
    private static final List<String> NAMES =
            List.of("adapter", "id", "name", "lora_name", "adapter_id", "alias");

    private static final int LONGEST_BODY = 64 << 10;

    /** {@inheritDoc} */
    @Override
    public void answered(RequestOutcome outcome) {
        if (!JsonLine.isManagement(outcome) || outcome.request().method() == Method.GET) {
            return;
        }
        JsonObject line = JsonLine.begin(outcome);
        adapter(outcome.request()).ifPresent(name -> line.addProperty("adapter", name));
        outcome.header(RequestOutcome.REVISION)
                .ifPresent(revision -> line.addProperty("revision", revision));
        JsonLine.end(outcome, line);
        line.addProperty("outcome", outcomeOf(outcome.status()));
        logger.info("{}", line);
    }

    /** {@inheritDoc} */
    @Override
    public void refused(Refusal refusal) {
        boolean changing =
                refusal.route()
                        .filter(route -> route.permission() == Permission.MANAGE)
                        .filter(route -> route.method() != Method.GET)
                        .isPresent();
        if (changing) {
            JsonObject line = JsonLine.of(refusal);
            line.addProperty("outcome", outcomeOf(refusal.status()));
            logger.info("{}", line);
        }
    }

    private static String outcomeOf(int status) {
        if (status == 401 || status == 403 || status == 429) {
            return "denied";
        }
        return status < 400 ? "done" : "failed";
    }

    private static Optional<String> adapter(Request request) {
        return Stream.of(inPath(request), inQuery(request), inBody(request))
                .flatMap(Optional::stream)
                .findFirst();
    }

    private static Optional<String> inPath(Request request) {
        return NAMES.stream().map(request.variables()::get).filter(Objects::nonNull).findFirst();
    }

    private static Optional<String> inQuery(Request request) {
        return NAMES.stream()
                .map(request.query()::get)
                .filter(values -> values != null && !values.isEmpty())
                .map(values -> values.get(0))
                .findFirst();
    }

    private static Optional<String> inBody(Request request) {
        if (!(request.body() instanceof Body.InMemory body)
                || body.length() == 0
                || body.length() > LONGEST_BODY) {
            return Optional.empty();
        }
        try {
            return inFields(StrictJson.parseObject(body.text(), "the body"));
        } catch (LoraConfigurationException | HttpFailure e) {
            // its route has refused it
            return Optional.empty();
        }
    }

    private static Optional<String> inFields(JsonObject body) {
        return NAMES.stream()
                .map(body::get)
                .filter(value -> value != null && value.isJsonPrimitive())
                .map(JsonElement::getAsString)
                .findFirst();
    }
}
