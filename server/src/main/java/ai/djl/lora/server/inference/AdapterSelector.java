/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.model.ServedModel;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Finds out which adapter a request is for. It may be named by the model, by fields, by a parameter
 * of the path or by headers; all that are given must agree. Where none is, a rule or the default
 * decides. What a caller may not use is not there for it.
 */
public final class AdapterSelector {

    private static final List<String> SINGLE_FIELDS = List.of("adapter", "adapter_id");
    private static final List<String> HEADERS =
            List.of(
                    "x-adapter-id",
                    "x-amzn-sagemaker-adapter-identifier",
                    "x-amzn-sagemaker-adapter-alias");
    private static final int MOST_PARTS = 64;

    private final ServedModel model;
    private final AdapterTargets targets;
    private final RoutingRules rules;
    private final RequestStacks stacks;

    /**
     * Constructs a new {@code AdapterSelector} instance.
     *
     * @param model the model
     * @param targets what names lead to
     * @param rules what decides where nothing is named
     */
    public AdapterSelector(ServedModel model, AdapterTargets targets, RoutingRules rules) {
        this.model = model;
        this.targets = targets;
        this.rules = rules;
        this.stacks = new RequestStacks(model.adapters());
    }

    /**
     * What a place of a request names.
     *
     * @param place the place
     * @param field the field for messages to programs; null where it is none
     * @param names a name for each input
     */
    private record Named(String place, String field, List<String> names) {}

    /**
     * Finds the adapters of a request.
     *
     * @param request the request
     * @param body its body
     * @param further objects of the body that may name one too
     * @param asked the name of the model that it asks for; null for none
     * @param prompts how each input begins, for rules that look at that
     * @return an adapter for each input; each must be released
     * @throws HttpFailure of status 404 if there is none of that name for the caller, of 400 if two
     *     places disagree
     */
    public List<AdapterChoice> select(
            Request request,
            BodyFields body,
            List<BodyFields> further,
            String asked,
            List<String> prompts) {
        int inputs = prompts.size();
        List<Named> named = new ArrayList<>();
        if (asked != null) {
            byModel(asked, inputs).ifPresent(named::add);
        }
        List<BodyFields> places = new ArrayList<>(further);
        places.add(0, body);
        Map<String, Float> weights = null;
        for (BodyFields place : places) {
            byFields(place, inputs).forEach(named::add);
            Map<String, Float> parts = lora(place);
            if (parts != null) {
                weights = parts;
                String field = place.prefix() + "lora";
                named.add(new Named(field, field, Collections.nCopies(inputs, shown(parts))));
            }
        }
        request.parameter("adapter")
                .ifPresent(
                        name ->
                                named.add(
                                        new Named(
                                                "the parameter adapter",
                                                null,
                                                Collections.nCopies(inputs, name))));
        for (String header : HEADERS) {
            request.header(header)
                    .ifPresent(
                            name ->
                                    named.add(
                                            new Named(
                                                    "the header " + header,
                                                    null,
                                                    Collections.nCopies(inputs, name))));
        }
        String session = Sessions.of(request, body);
        // always read, so that the fields that rules look at are known
        List<String> routed = routed(request, body, session, prompts, named.isEmpty());
        if (named.isEmpty()) {
            return open(request, new Named("", null, routed), session);
        }
        Named first = named.get(0);
        for (Named other : named) {
            if (!other.names.equals(first.names)) {
                throw HttpFailure.badRequest(
                        other.field,
                        first.place
                                + " names "
                                + text(first.names)
                                + " and "
                                + other.place
                                + " names "
                                + text(other.names)
                                + "; they must agree");
            }
        }
        if (weights != null) {
            return List.of(stack(request, weights, session, shown(weights)));
        }
        return open(request, first, session);
    }

    private static String text(List<String> names) {
        List<String> different = names.stream().distinct().toList();
        return different.size() == 1 ? '"' + different.get(0) + '"' : names.toString();
    }

    private Optional<Named> byModel(String asked, int inputs) {
        String base = model.name();
        if (asked.equals(base)) {
            return Optional.empty();
        }
        String name = asked;
        if (!targets.has(asked) && asked.startsWith(base + ':')) {
            name = asked.substring(base.length() + 1);
        }
        if (name.isEmpty()) {
            throw notFound(asked, "model");
        }
        return Optional.of(new Named("model", "model", Collections.nCopies(inputs, name)));
    }

    private static List<Named> byFields(BodyFields fields, int inputs) {
        List<Named> named = new ArrayList<>();
        for (String field : SINGLE_FIELDS) {
            fields.text(field)
                    .ifPresent(
                            name ->
                                    named.add(
                                            new Named(
                                                    fields.prefix() + field,
                                                    fields.prefix() + field,
                                                    Collections.nCopies(inputs, name))));
        }
        String field = fields.prefix() + "adapters";
        Optional<List<String>> names = fields.texts("adapters");
        if (names.isPresent()) {
            boolean list = fields.element("adapters").orElseThrow().isJsonArray();
            if (list && names.get().size() != inputs) {
                throw HttpFailure.badRequest(
                        field,
                        field
                                + " has "
                                + names.get().size()
                                + " names for "
                                + inputs
                                + " inputs; one for each is needed, or one name for all");
            }
            named.add(
                    new Named(
                            field,
                            field,
                            list ? names.get() : Collections.nCopies(inputs, names.get().get(0))));
        }
        return named;
    }

    /** Reads llama.cpp's list of adapters with their weights; null where it is not given. */
    private static Map<String, Float> lora(BodyFields fields) {
        Optional<List<BodyFields>> given = fields.objects("lora");
        if (given.isEmpty()) {
            return null;
        }
        Map<String, Float> parts = new LinkedHashMap<>();
        for (BodyFields part : given.get()) {
            String name =
                    part.text("id")
                            .orElseThrow(
                                    () ->
                                            part.wrong(
                                                    "id",
                                                    "is missing; an adapter's name is needed"));
            float scale = part.number("scale").map(Number::floatValue).orElse(1f);
            part.end();
            if (!Float.isFinite(scale)) {
                throw part.wrong("scale", "is too large for a number of 32 bits");
            }
            if (parts.put(name, scale) != null) {
                throw part.wrong("id", "is \"" + name + "\" a second time; give it once");
            }
        }
        if (parts.isEmpty() || parts.size() > MOST_PARTS) {
            throw fields.wrong(
                    "lora", "has " + parts.size() + " adapters; allowed are 1 to " + MOST_PARTS);
        }
        return parts;
    }

    private static String shown(Map<String, Float> parts) {
        if (parts.size() == 1 && parts.values().iterator().next() == 1) {
            return parts.keySet().iterator().next();
        }
        return parts.entrySet().stream()
                .map(part -> part.getKey() + ':' + part.getValue())
                .collect(Collectors.joining(","));
    }

    private List<String> routed(
            Request request,
            BodyFields body,
            String session,
            List<String> prompts,
            boolean wanted) {
        body.ignore(rules.fields());
        if (!wanted) {
            return List.of();
        }
        // a request without a session is one of its own
        String key = session.isEmpty() ? request.id() : session;
        List<String> names = new ArrayList<>();
        for (String prompt : prompts) {
            names.add(
                    rules.find(condition -> holds(condition, request, body, prompt), key)
                            .map(rule -> decide(rule, request))
                            .orElseGet(targets::defaultAdapter));
        }
        return names;
    }

    private static boolean holds(
            RoutingRules.Condition condition, Request request, BodyFields body, String prompt) {
        if (condition instanceof RoutingRules.OfTenant of) {
            return of.tenant().equals(request.caller().tenant());
        }
        if (condition instanceof RoutingRules.WithHeader with) {
            return isMeant(request.header(with.name()), with.value());
        }
        if (condition instanceof RoutingRules.WithField with) {
            return isMeant(field(body, with.name()), with.value());
        }
        if (condition instanceof RoutingRules.AllOf all) {
            return all.conditions().stream()
                    .allMatch(each -> holds(each, request, body, prompt));
        }
        if (condition instanceof RoutingRules.WithPrefix with) {
            return prompt.startsWith(with.text());
        }
        return true;
    }

    private static boolean isMeant(Optional<String> found, String wanted) {
        return found.isPresent() && (wanted == null || wanted.equals(found.get()));
    }

    /** Returns what a rule looks at in a body; {@code a.b} is the field b of the object a. */
    private static Optional<String> field(BodyFields body, String path) {
        int point = path.indexOf('.');
        if (point >= 0) {
            return body.object(path.substring(0, point))
                    .flatMap(inner -> field(inner, path.substring(point + 1)));
        }
        return body.element(path)
                .map(
                        value -> {
                            if (!value.isJsonPrimitive()) {
                                throw body.wrong(
                                        path,
                                        "is a list or an object; rules of routing look at it, and a"
                                                + " text, a number or true or false is needed");
                            }
                            return value.getAsString();
                        });
    }

    private String decide(RoutingRules.Rule rule, Request request) {
        return rule.fallback() != null && !isThere(request, rule.adapter())
                ? rule.fallback()
                : rule.adapter();
    }

    private List<AdapterChoice> open(Request request, Named named, String session) {
        List<AdapterChoice> choices = new ArrayList<>();
        for (String name : named.names) {
            if (!isThere(request, name)) {
                throw notFound(name.isEmpty() ? model.name() : name, named.field);
            }
            String target = name.isEmpty() ? "" : targets.target(name, session);
            choices.add(new AdapterChoice(name, target, AdapterChoice.NOTHING));
        }
        return choices;
    }

    private AdapterChoice stack(
            Request request, Map<String, Float> weights, String session, String shown) {
        Map<String, Float> parts = new LinkedHashMap<>();
        weights.forEach(
                (name, weight) -> {
                    if (name.isEmpty() || !isThere(request, name)) {
                        throw notFound(name, "lora");
                    }
                    parts.merge(targets.target(name, session), weight, Float::sum);
                });
        if (shown.equals(weights.keySet().iterator().next())) {
            String target = parts.keySet().iterator().next();
            return new AdapterChoice(shown, target, AdapterChoice.NOTHING);
        }
        return stacks.open(shown, parts);
    }

    /**
     * Returns whether there is an adapter for a caller.
     *
     * @param request the caller's request
     * @param name the adapter's name; "" for the base model
     * @return whether it is there, and the caller may use it
     */
    public boolean isThere(Request request, String name) {
        boolean known =
                name.isEmpty() || !name.startsWith(RequestStacks.PREFIX) && targets.has(name);
        return known && request.caller().adapters().test(name);
    }

    /** Returns whether what was chosen is still there. */
    boolean isKnown(Request request, AdapterChoice choice) {
        return choice.target().startsWith(RequestStacks.PREFIX) || isThere(request, choice.name());
    }

    /**
     * Returns the refusal of a name.
     *
     * @param name the model or adapter that was asked for
     * @param field the field that names it; null where none does
     * @return a failure of status 404
     */
    public static HttpFailure notFound(String name, String field) {
        return new HttpFailure(
                404,
                "model_not_found",
                "there is no model or adapter " + Message.quote(name),
                field,
                Map.of(),
                null);
    }
}
