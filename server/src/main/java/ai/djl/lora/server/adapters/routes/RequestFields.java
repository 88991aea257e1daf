/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;

/** The fields of a request's JSON body. What is not of the right kind is refused by its name. */
final class RequestFields {

    private final JsonObject object;

    /** What stands before a field's name in messages; "" for the body itself. */
    private final String prefix;

    private final Set<String> asked = new TreeSet<>();

    private RequestFields(JsonObject object, String prefix) {
        this.object = object;
        this.prefix = prefix;
    }

    /** Reads a body; one without content has no fields. */
    static RequestFields of(Request request) {
        if (request.body().length() == 0) {
            return new RequestFields(new JsonObject(), "");
        }
        if (!(request.body() instanceof Body.InMemory content)) {
            throw new IllegalArgumentException("the route takes uploads");
        }
        try {
            return new RequestFields(StrictJson.parseObject(content.text(), "the body"), "");
        } catch (LoraConfigurationException e) {
            throw new HttpFailure(400, "invalid_json", e.getMessage(), null, Map.of(), e);
        }
    }

    private JsonElement get(String name) {
        asked.add(name);
        JsonElement value = object.get(name);
        return value == null || value.isJsonNull() ? null : value;
    }

    boolean has(String name) {
        return get(name) != null;
    }

    Optional<String> text(String name) {
        JsonElement value = get(name);
        if (value == null) {
            return Optional.empty();
        }
        if (!(value instanceof JsonPrimitive text) || !text.isString()) {
            throw wrong(name, "a text", value);
        }
        return Optional.of(text.getAsString());
    }

    String needed(String name) {
        String value = text(name).orElseThrow(() -> wrong(name, "is missing"));
        if (value.isBlank()) {
            throw wrong(name, "is blank");
        }
        return value;
    }

    Optional<Boolean> flag(String name) {
        JsonElement value = get(name);
        if (value == null) {
            return Optional.empty();
        }
        if (!(value instanceof JsonPrimitive flag) || !flag.isBoolean()) {
            throw wrong(name, "true or false", value);
        }
        return Optional.of(flag.getAsBoolean());
    }

    OptionalDouble number(String name) {
        JsonElement value = get(name);
        return value == null ? OptionalDouble.empty() : OptionalDouble.of(number(name, value));
    }

    private double number(String name, JsonElement value) {
        if (!(value instanceof JsonPrimitive number) || !number.isNumber()) {
            throw wrong(name, "a number", value);
        }
        double found = number.getAsDouble();
        if (!Double.isFinite(found)) {
            throw wrong(name, "a finite number", value);
        }
        return found;
    }

    Map<String, String> texts(String name) {
        JsonElement value = get(name);
        Map<String, String> texts = new LinkedHashMap<>();
        if (value == null) {
            return texts;
        }
        if (!value.isJsonObject()) {
            throw wrong(name, "an object of texts", value);
        }
        for (Map.Entry<String, JsonElement> entry : value.getAsJsonObject().entrySet()) {
            if (!(entry.getValue() instanceof JsonPrimitive text) || !text.isString()) {
                throw wrong(name + '.' + entry.getKey(), "a text", entry.getValue());
            }
            texts.put(entry.getKey(), text.getAsString());
        }
        return texts;
    }

    /** Returns the objects of a list. */
    List<RequestFields> objects(String name) {
        JsonElement value = get(name);
        List<RequestFields> objects = new ArrayList<>();
        if (value == null) {
            return objects;
        }
        if (!value.isJsonArray()) {
            throw wrong(name, "a list of objects", value);
        }
        for (JsonElement each : value.getAsJsonArray()) {
            String place = name + '[' + objects.size() + ']';
            if (!each.isJsonObject()) {
                throw wrong(place, "an object", each);
            }
            objects.add(new RequestFields(each.getAsJsonObject(), prefix + place + '.'));
        }
        return objects;
    }

    /** Refuses fields that nobody has asked for. */
    void end() {
        for (String name : object.keySet()) {
            if (!asked.contains(name)) {
                throw HttpFailure.badRequest(
                        prefix + name,
                        "the field "
                                + Message.quote(prefix + name)
                                + " is not known; known are "
                                + String.join(", ", asked));
            }
        }
    }

    /**
     * Returns a refusal of a field.
     *
     * @param name the field
     * @param found what is wrong, to follow the field's name
     * @return the failure
     */
    HttpFailure wrong(String name, String found) {
        return HttpFailure.badRequest(prefix + name, prefix + name + ' ' + found);
    }

    private HttpFailure wrong(String name, String expected, JsonElement found) {
        return wrong(name, "is " + Message.quote(found.toString()) + "; it must be " + expected);
    }
}
