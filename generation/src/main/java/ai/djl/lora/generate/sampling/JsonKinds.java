/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * Tells whether schemas rule each other out, which {@code oneOf} asks for: a value that two of its
 * schemas accept is not valid. That is so where their types differ, where each lists its values and
 * none is the same, or where both are objects that require a member by which they differ.
 */
final class JsonKinds {

    private static final int MAX_REFERENCES = 64;

    private final Function<String, JsonElement> definitions;

    /**
     * Constructs a new {@code JsonKinds} instance.
     *
     * @param definitions gives the schema that a reference names
     */
    JsonKinds(Function<String, JsonElement> definitions) {
        this.definitions = definitions;
    }

    /** Returns whether a value is of one of the types. */
    static boolean matches(JsonElement value, Set<String> types) {
        String type = type(value);
        return types.contains(type) || "integer".equals(type) && types.contains("number");
    }

    private static String type(JsonElement value) {
        if (value.isJsonObject()) {
            return "object";
        }
        if (value.isJsonArray()) {
            return "array";
        }
        if (value instanceof JsonPrimitive primitive) {
            if (primitive.isString()) {
                return "string";
            }
            if (primitive.isBoolean()) {
                return "boolean";
            }
            BigDecimal number = primitive.getAsBigDecimal().stripTrailingZeros();
            return number.scale() <= 0 ? "integer" : "number";
        }
        return "null";
    }

    /**
     * Checks that no value is valid against two schemas.
     *
     * @param schemas the schemas
     * @param path where they stand
     * @throws LoraConfigurationException naming two of which that is not certain
     */
    void checkDisjoint(List<JsonElement> schemas, String path) {
        for (int i = 0; i < schemas.size(); ++i) {
            for (int j = i + 1; j < schemas.size(); ++j) {
                if (!disjoint(schemas.get(i), schemas.get(j))) {
                    throw new LoraConfigurationException(
                            "the JSON schema's "
                                    + Message.quote(path)
                                    + " has the alternatives "
                                    + i
                                    + " and "
                                    + j
                                    + ", which may accept the same value; they must differ in type,"
                                    + " in listed values or in a required member with const or"
                                    + " enum, or stand in anyOf");
                }
            }
        }
    }

    private boolean disjoint(JsonElement one, JsonElement other) {
        JsonElement a = resolved(one);
        JsonElement b = resolved(other);
        if (!a.isJsonObject() || !b.isJsonObject()) {
            return false;
        }
        Set<String> types = types(a.getAsJsonObject());
        types.retainAll(types(b.getAsJsonObject()));
        if (types.isEmpty()) {
            return true;
        }
        List<JsonElement> values = listed(a.getAsJsonObject());
        List<JsonElement> others = listed(b.getAsJsonObject());
        if (values != null && others != null) {
            return values.stream()
                    .noneMatch(v -> others.stream().anyMatch(o -> JsonAutomata.same(v, o)));
        }
        return types.equals(Set.of("object"))
                && discriminated(a.getAsJsonObject(), b.getAsJsonObject());
    }

    private boolean discriminated(JsonObject one, JsonObject other) {
        if (!(one.get("properties") instanceof JsonObject properties)
                || !(other.get("properties") instanceof JsonObject others)) {
            return false;
        }
        for (String name : properties.keySet()) {
            if (others.has(name)
                    && requires(one, name)
                    && requires(other, name)
                    && disjoint(properties.get(name), others.get(name))) {
                return true;
            }
        }
        return false;
    }

    private static boolean requires(JsonObject schema, String name) {
        return schema.get("required") instanceof JsonArray required
                && required.contains(new JsonPrimitive(name));
    }

    private JsonElement resolved(JsonElement schema) {
        JsonElement resolved = schema;
        for (int i = 0; i < MAX_REFERENCES; ++i) {
            if (!(resolved instanceof JsonObject object)
                    || !(object.get("$ref") instanceof JsonPrimitive target)) {
                return resolved;
            }
            resolved = definitions.apply(target.getAsString());
        }
        return resolved;
    }

    /** Returns the types of the values that a schema may accept, a number's as integer too. */
    private static Set<String> types(JsonObject schema) {
        Set<String> types = new HashSet<>();
        List<JsonElement> listed = listed(schema);
        if (listed != null) {
            listed.forEach(value -> types.add(type(value)));
        } else if (schema.get("type") instanceof JsonArray names) {
            names.forEach(name -> types.add(name.getAsString()));
        } else if (schema.get("type") instanceof JsonPrimitive name) {
            types.add(name.getAsString());
        } else {
            types.addAll(
                    List.of("object", "array", "string", "number", "integer", "boolean", "null"));
        }
        if (types.contains("number")) {
            types.add("integer");
        }
        return types;
    }

    /** Returns the values of a schema that lists them, or null. */
    private static List<JsonElement> listed(JsonObject schema) {
        if (schema.has("const")) {
            return List.of(schema.get("const"));
        }
        return schema.get("enum") instanceof JsonArray values
                ? new ArrayList<>(values.asList())
                : null;
    }
}
