/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.Operations;

/**
 * Compiles a JSON schema to the automaton of texts that it accepts. Every text of the automaton is
 * valid against the schema; not every valid value has a text: members come in the order of {@code
 * properties}, names that are not listed there do not occur, and numbers and nesting have bounds. A
 * keyword that is not known here is refused, so that none is silently left out.
 */
final class JsonSchemaCompiler {

    /** How deep a value of any form may nest. */
    static final int FREE_DEPTH = 4;

    private static final int MAX_SCALE = 1000;

    private static final String REF = "$ref";
    private static final String TYPE = "type";
    private static final String ITEMS = "items";
    private static final String PROPERTIES = "properties";
    private static final String REQUIRED = "required";
    private static final String ADDITIONAL = "additionalProperties";
    private static final String PATTERN = "pattern";

    /** Keywords that constrain nothing. */
    private static final Set<String> ANNOTATIONS =
            Set.of(
                    "$schema",
                    "$id",
                    "$comment",
                    "$defs",
                    "definitions",
                    "title",
                    "description",
                    "default",
                    "examples",
                    "deprecated",
                    "readOnly",
                    "writeOnly");

    private static final Set<String> BOUNDS =
            Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum");

    private static final Map<String, Set<String>> KEYWORDS_OF_TYPES =
            Map.of(
                    "object",
                    Set.of(PROPERTIES, REQUIRED, ADDITIONAL),
                    "array",
                    Set.of(ITEMS, "minItems", "maxItems"),
                    "string",
                    Set.of(PATTERN, "minLength", "maxLength"),
                    "integer",
                    BOUNDS,
                    "number",
                    Set.of(),
                    "boolean",
                    Set.of(),
                    "null",
                    Set.of());

    private final JsonObject root;
    private final Set<String> open = new LinkedHashSet<>();
    private final Map<String, Automaton> definitions = new HashMap<>();

    private JsonSchemaCompiler(JsonObject root) {
        this.root = root;
    }

    /**
     * Compiles a schema.
     *
     * @param schema the schema, a JSON object
     * @return the automaton over code points
     * @throws LoraConfigurationException naming what is wrong or not supported, and where
     */
    static Automaton compile(String schema) {
        JsonObject root = StrictJson.parseObject(schema, "the JSON schema");
        return new JsonSchemaCompiler(root).value(root, "$");
    }

    private Automaton value(JsonElement element, String path) {
        if (isBoolean(element)) {
            if (!element.getAsBoolean()) {
                throw refuse(path, "is false, which accepts nothing");
            }
            return JsonAutomata.anyValue(FREE_DEPTH);
        }
        if (!element.isJsonObject()) {
            throw refuse(
                    path, "is " + shown(element) + "; a schema must be an object or a boolean");
        }
        JsonObject schema = element.getAsJsonObject();
        if (schema.has(REF)) {
            allow(schema, path, Set.of(REF));
            return reference(schema.get(REF), path);
        }
        if (schema.has("const")) {
            allow(schema, path, Set.of("const", TYPE));
            return values(List.of(schema.get("const")), schema, path + ".const");
        }
        if (schema.has("enum")) {
            allow(schema, path, Set.of("enum", TYPE));
            return values(list(schema, "enum", path), schema, path + ".enum");
        }
        for (String union : List.of("anyOf", "oneOf")) {
            if (schema.has(union)) {
                allow(schema, path, Set.of(union));
                return union(list(schema, union, path), path + '.' + union);
            }
        }
        if (!schema.has(TYPE)) {
            allow(schema, path, Set.of());
            return JsonAutomata.anyValue(FREE_DEPTH);
        }
        return typed(schema, path);
    }

    private Automaton reference(JsonElement reference, String path) {
        String target = text(reference, path + '.' + REF);
        if (definitions.containsKey(target)) {
            return definitions.get(target);
        }
        if (!open.add(target)) {
            throw refuse(
                    path, "refers to " + Message.quote(target) + " inside itself; no recursion");
        }
        Automaton automaton = TextAutomata.minimize(value(resolve(target, path), target));
        open.remove(target);
        definitions.put(target, automaton);
        return automaton;
    }

    private JsonElement resolve(String target, String path) {
        for (String place : List.of("$defs", "definitions")) {
            String prefix = "#/" + place + '/';
            if (target.startsWith(prefix) && root.get(place) instanceof JsonObject named) {
                String name =
                        target.substring(prefix.length()).replace("~1", "/").replace("~0", "~");
                if (named.has(name)) {
                    return named.get(name);
                }
            }
        }
        throw refuse(
                path,
                "refers to "
                        + Message.quote(target)
                        + "; it must be #/$defs/ or #/definitions/ and a name that is there");
    }

    private Automaton values(List<JsonElement> values, JsonObject schema, String path) {
        List<Automaton> automata = new ArrayList<>();
        Set<String> types = schema.has(TYPE) ? types(schema, path) : KEYWORDS_OF_TYPES.keySet();
        for (JsonElement value : values) {
            if (!JsonKinds.matches(value, types)) {
                throw refuse(path, "has " + shown(value) + ", which is not of type " + types);
            }
            automata.add(JsonAutomata.literal(value));
        }
        return TextAutomata.minimize(TextAutomata.either(automata));
    }

    private Automaton union(List<JsonElement> alternatives, String path) {
        if (path.endsWith(".oneOf")) {
            new JsonKinds(target -> resolve(target, path)).checkDisjoint(alternatives, path);
        }
        List<Automaton> automata = new ArrayList<>();
        for (int i = 0; i < alternatives.size(); ++i) {
            automata.add(value(alternatives.get(i), path + '[' + i + ']'));
        }
        return TextAutomata.either(automata);
    }

    private Automaton typed(JsonObject schema, String path) {
        Set<String> types = types(schema, path);
        Set<String> known = new TreeSet<>(Set.of(TYPE));
        types.forEach(type -> known.addAll(KEYWORDS_OF_TYPES.get(type)));
        if (types.contains("number")) {
            // they would bound numbers with a fraction too, which no automaton here does
            known.removeAll(BOUNDS);
        }
        allow(schema, path, known);
        List<Automaton> automata = new ArrayList<>();
        for (String type : types) {
            automata.add(
                    switch (type) {
                        case "object" -> object(schema, path);
                        case "array" -> array(schema, path);
                        case "string" -> string(schema, path);
                        case "integer" -> integer(schema, path);
                        case "number" -> JsonAutomata.number();
                        case "boolean" -> JsonAutomata.bool();
                        default -> JsonAutomata.nothing();
                    });
        }
        return TextAutomata.either(automata);
    }

    private static Set<String> types(JsonObject schema, String path) {
        JsonElement element = schema.get(TYPE);
        List<JsonElement> names =
                element.isJsonArray() ? list(schema, TYPE, path) : List.of(element);
        Set<String> types = new LinkedHashSet<>();
        for (JsonElement name : names) {
            String type = text(name, path + '.' + TYPE);
            if (!KEYWORDS_OF_TYPES.containsKey(type)) {
                throw refuse(
                        path + '.' + TYPE,
                        "is "
                                + Message.quote(type)
                                + "; types are "
                                + new TreeSet<>(KEYWORDS_OF_TYPES.keySet()));
            }
            types.add(type);
        }
        return types;
    }

    private Automaton object(JsonObject schema, String path) {
        JsonElement additional = schema.get(ADDITIONAL);
        boolean closed = isBoolean(additional) && !additional.getAsBoolean();
        if (!schema.has(PROPERTIES) && !closed) {
            if (schema.has(REQUIRED)) {
                throw refuse(path + '.' + REQUIRED, "names members without " + PROPERTIES);
            }
            return additional == null
                    ? JsonAutomata.anyObject(FREE_DEPTH)
                    : JsonAutomata.map(
                            TextAutomata.minimize(value(additional, path + '.' + ADDITIONAL)));
        }
        if (additional != null && !closed) {
            throw refuse(
                    path + '.' + ADDITIONAL,
                    "is " + shown(additional) + "; beside properties it must be false or absent");
        }
        JsonObject properties = new JsonObject();
        if (schema.has(PROPERTIES)) {
            JsonElement given = schema.get(PROPERTIES);
            if (!given.isJsonObject()) {
                throw refuse(path + '.' + PROPERTIES, "is not an object");
            }
            properties = given.getAsJsonObject();
        }
        Set<String> required = new LinkedHashSet<>();
        if (schema.has(REQUIRED)) {
            for (JsonElement name : array(schema, REQUIRED, path)) {
                required.add(text(name, path + '.' + REQUIRED));
            }
        }
        for (String name : required) {
            if (!properties.has(name)) {
                throw refuse(
                        path + '.' + REQUIRED,
                        "names " + Message.quote(name) + ", which properties lacks");
            }
        }
        List<JsonAutomata.Member> members = new ArrayList<>();
        for (Map.Entry<String, JsonElement> property : properties.entrySet()) {
            String name = property.getKey();
            Automaton value = value(property.getValue(), path + '.' + PROPERTIES + '.' + name);
            members.add(new JsonAutomata.Member(name, required.contains(name), value));
        }
        return JsonAutomata.object(members);
    }

    private Automaton array(JsonObject schema, String path) {
        int min = count(schema, "minItems", path, 0);
        int max = count(schema, "maxItems", path, -1);
        if (max >= 0 && max < min) {
            throw refuse(path, "has maxItems below minItems");
        }
        Automaton item =
                schema.has(ITEMS)
                        ? value(schema.get(ITEMS), path + '.' + ITEMS)
                        : JsonAutomata.anyValue(FREE_DEPTH - 1);
        return JsonAutomata.array(TextAutomata.minimize(item), min, max);
    }

    private Automaton string(JsonObject schema, String path) {
        int min = count(schema, "minLength", path, 0);
        int max = count(schema, "maxLength", path, -1);
        if (max >= 0 && max < min) {
            throw refuse(path, "has maxLength below minLength");
        }
        Automaton content = TextAutomata.repeat(TextAutomata.anyCharacter(), min, max);
        if (schema.has(PATTERN)) {
            String pattern = text(schema.get(PATTERN), path + '.' + PATTERN);
            Automaton matching;
            try {
                matching = RegexParser.search(pattern);
            } catch (LoraConfigurationException e) {
                String place = Message.quote(path + '.' + PATTERN);
                throw new LoraConfigurationException(
                        "the JSON schema's " + place + ": " + e.getMessage(), e);
            }
            content = Operations.intersection(content, TextAutomata.minimize(matching));
        }
        Automaton string = TextAutomata.minimize(JsonAutomata.string(content));
        if (Operations.isEmpty(string)) {
            throw refuse(path, "accepts no string");
        }
        return string;
    }

    private static Automaton integer(JsonObject schema, String path) {
        BigDecimal min = BigDecimal.valueOf(-IntegerRange.LIMIT);
        BigDecimal max = BigDecimal.valueOf(IntegerRange.LIMIT);
        if (schema.has("minimum")) {
            min = min.max(bound(schema, "minimum", path).setScale(0, RoundingMode.CEILING));
        }
        if (schema.has("exclusiveMinimum")) {
            BigDecimal below = bound(schema, "exclusiveMinimum", path);
            min = min.max(below.setScale(0, RoundingMode.FLOOR).add(BigDecimal.ONE));
        }
        if (schema.has("maximum")) {
            max = max.min(bound(schema, "maximum", path).setScale(0, RoundingMode.FLOOR));
        }
        if (schema.has("exclusiveMaximum")) {
            BigDecimal above = bound(schema, "exclusiveMaximum", path);
            max = max.min(above.setScale(0, RoundingMode.CEILING).subtract(BigDecimal.ONE));
        }
        if (min.compareTo(max) > 0) {
            throw refuse(path, "accepts no integer of at most 15 digits");
        }
        return IntegerRange.between(min.longValueExact(), max.longValueExact());
    }

    private static BigDecimal bound(JsonObject schema, String keyword, String path) {
        JsonElement element = schema.get(keyword);
        if (element instanceof JsonPrimitive primitive && primitive.isNumber()) {
            try {
                BigDecimal bound = primitive.getAsBigDecimal();
                // an exponent in the thousands would be written out by what follows
                if (Math.abs((long) bound.scale()) <= MAX_SCALE) {
                    return bound;
                }
            } catch (NumberFormatException e) {
                throw new LoraConfigurationException(
                        message(path + '.' + keyword, boundNeeded(element)), e);
            }
        }
        throw refuse(path + '.' + keyword, boundNeeded(element));
    }

    private static String boundNeeded(JsonElement element) {
        return "is " + shown(element) + "; a number with an exponent of at most 1000 is needed";
    }

    private static int count(JsonObject schema, String keyword, String path, int absent) {
        JsonElement element = schema.get(keyword);
        if (element == null) {
            return absent;
        }
        if (element instanceof JsonPrimitive primitive && primitive.isNumber()) {
            try {
                int count = primitive.getAsBigDecimal().intValueExact();
                if (count >= 0) {
                    return count;
                }
            } catch (ArithmeticException | NumberFormatException e) {
                throw new LoraConfigurationException(
                        message(path + '.' + keyword, countNeeded(element)), e);
            }
        }
        throw refuse(path + '.' + keyword, countNeeded(element));
    }

    private static String countNeeded(JsonElement element) {
        return "is " + shown(element) + "; a whole number of 0 or more is needed";
    }

    private static List<JsonElement> list(JsonObject schema, String keyword, String path) {
        JsonArray array = array(schema, keyword, path);
        if (array.isEmpty()) {
            throw refuse(path + '.' + keyword, "is empty; at least one entry is needed");
        }
        return array.asList();
    }

    private static JsonArray array(JsonObject schema, String keyword, String path) {
        JsonElement element = schema.get(keyword);
        if (!element.isJsonArray()) {
            throw refuse(path + '.' + keyword, "is " + shown(element) + "; an array is needed");
        }
        return element.getAsJsonArray();
    }

    private static String text(JsonElement element, String path) {
        if (element instanceof JsonPrimitive primitive && primitive.isString()) {
            return primitive.getAsString();
        }
        throw refuse(path, "is " + shown(element) + "; a string is needed");
    }

    private static boolean isBoolean(JsonElement element) {
        return element instanceof JsonPrimitive primitive && primitive.isBoolean();
    }

    /** Refuses keywords but annotations and those that are named. */
    private static void allow(JsonObject schema, String path, Set<String> keywords) {
        for (String keyword : schema.keySet()) {
            if (!keywords.contains(keyword) && !ANNOTATIONS.contains(keyword)) {
                throw refuse(
                        path,
                        "has the keyword "
                                + Message.quote(keyword)
                                + ", which is not supported here; supported are "
                                + new TreeSet<>(keywords));
            }
        }
    }

    private static String shown(JsonElement element) {
        return Message.quote(element.toString());
    }

    private static LoraConfigurationException refuse(String path, String reason) {
        return new LoraConfigurationException(message(path, reason));
    }

    private static String message(String path, String reason) {
        return "the JSON schema's " + Message.quote(path) + ' ' + reason;
    }
}
