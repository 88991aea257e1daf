/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.server.adapters.AdapterRequest;
import ai.djl.lora.server.adapters.swap.GoldenFile;
import ai.djl.lora.server.adapters.swap.GoldenPrompt;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** Reads what requests ask of an adapter: from JSON, or from parameters behind the path. */
final class AdapterFields {

    private static final int MAX_GOLDEN = 1000;
    private static final double MAX_SECONDS = 600;

    private AdapterFields() {}

    static AdapterRequest request(RequestFields fields) {
        return new AdapterRequest(
                revision(fields.text("revision")),
                fields.flag("pin"),
                fields.number("priority"),
                fields.text("tenant"),
                checked(fields.texts("metadata")),
                fields.flag("preload").orElse(true));
    }

    /** Reads parameters: {@code revision}, {@code pin}, {@code priority}, {@code tenant}. */
    static AdapterRequest request(Request request) {
        return new AdapterRequest(
                revision(request.parameter("revision")),
                flag(request, "pin"),
                number(request, "priority"),
                request.parameter("tenant"),
                Map.of(),
                flag(request, "preload").orElse(true));
    }

    static Optional<Boolean> flag(Request request, String name) {
        return request.parameter(name)
                .map(
                        value ->
                                switch (value) {
                                    case "true", "" -> true;
                                    case "false" -> false;
                                    default ->
                                            throw HttpFailure.badRequest(
                                                    name, name + " is neither true nor false");
                                });
    }

    private static OptionalDouble number(Request request, String name) {
        Optional<String> text = request.parameter(name);
        try {
            return text.isEmpty()
                    ? OptionalDouble.empty()
                    : OptionalDouble.of(Double.parseDouble(text.get()));
        } catch (NumberFormatException e) {
            throw new HttpFailure(
                    400, "invalid_request", name + " is not a number", name, Map.of(), e);
        }
    }

    private static Optional<String> revision(Optional<String> revision) {
        revision.ifPresent(hash -> checkHash("revision", hash));
        return revision;
    }

    static Optional<String> sha256(RequestFields fields) {
        Optional<String> hash = fields.text("sha256");
        hash.ifPresent(text -> checkHash("sha256", text));
        return hash;
    }

    static Optional<String> sha256(Request request) {
        Optional<String> hash = request.parameter("sha256");
        hash.ifPresent(text -> checkHash("sha256", text));
        return hash;
    }

    private static void checkHash(String name, String hash) {
        if (!hash.matches("[0-9a-fA-F]{64}")) {
            throw HttpFailure.badRequest(name, name + " is not 64 hexadecimal digits");
        }
    }

    private static Map<String, String> checked(Map<String, String> metadata) {
        for (String key : metadata.keySet()) {
            if (key.startsWith("djl-lora.")) {
                throw HttpFailure.badRequest(
                        "metadata",
                        "metadata." + key + " is the server's own; choose another name");
            }
        }
        return new HashMap<>(metadata);
    }

    /**
     * Reads how a revision is tried: {@code smoke_prompt} ("" for none), {@code golden} (objects of
     * {@code prompt}, {@code expected} and perhaps {@code max_tokens}), {@code golden_logits} (a
     * source), {@code golden_tolerance}, {@code trial_seconds}.
     */
    static TrialPlan plan(RequestFields fields) {
        String smoke = fields.text("smoke_prompt").orElse(TrialPlan.DEFAULT_PROMPT);
        List<GoldenPrompt> golden = new ArrayList<>();
        for (RequestFields each : fields.objects("golden")) {
            OptionalDouble tokens = each.number("max_tokens");
            tokens.ifPresent(value -> checkTokens(each, value));
            golden.add(
                    new GoldenPrompt(
                            each.needed("prompt"),
                            each.text("expected")
                                    .orElseThrow(() -> each.wrong("expected", "is missing")),
                            tokens.isPresent()
                                    ? OptionalInt.of((int) tokens.getAsDouble())
                                    : OptionalInt.empty()));
            each.end();
        }
        if (golden.size() > MAX_GOLDEN) {
            throw HttpFailure.badRequest(
                    "golden",
                    "golden has " + golden.size() + " prompts, allowed are " + MAX_GOLDEN);
        }
        return new TrialPlan(
                smoke.isEmpty() ? Optional.empty() : Optional.of(smoke),
                golden,
                goldenFile(fields),
                seconds(fields, "trial_seconds", TrialPlan.DEFAULT_TIME));
    }

    private static Optional<GoldenFile> goldenFile(RequestFields fields) {
        OptionalDouble tolerance = fields.number("golden_tolerance");
        if (!fields.has("golden_logits")) {
            if (tolerance.isPresent()) {
                throw HttpFailure.badRequest(
                        "golden_tolerance", "golden_tolerance is given without golden_logits");
            }
            return Optional.empty();
        }
        if (tolerance.isPresent() && !(tolerance.getAsDouble() > 0)) {
            throw HttpFailure.badRequest(
                    "golden_tolerance",
                    "golden_tolerance is " + tolerance.getAsDouble() + "; it must be above 0");
        }
        return Optional.of(new GoldenFile(fields.needed("golden_logits"), tolerance));
    }

    private static void checkTokens(RequestFields fields, double tokens) {
        if (tokens < 1 || tokens > 100_000 || tokens != Math.rint(tokens)) {
            throw fields.wrong(
                    "max_tokens", "is " + tokens + "; it must be a whole number from 1 to 100000");
        }
    }

    static Duration seconds(RequestFields fields, String name, Duration otherwise) {
        OptionalDouble seconds = fields.number(name);
        if (seconds.isEmpty()) {
            return otherwise;
        }
        if (seconds.getAsDouble() < 0 || seconds.getAsDouble() > MAX_SECONDS) {
            throw HttpFailure.badRequest(
                    name,
                    name
                            + " is "
                            + seconds.getAsDouble()
                            + "; it must be from 0 to "
                            + (int) MAX_SECONDS);
        }
        return Duration.ofMillis(Math.round(seconds.getAsDouble() * 1000));
    }
}
