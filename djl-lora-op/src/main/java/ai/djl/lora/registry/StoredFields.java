/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** The fields of an object that was stored, each there and of its type, and none left over. */
final class StoredFields {

    private final JsonObject object;
    private final Set<String> read = new HashSet<>();

    StoredFields(JsonElement element) {
        if (!element.isJsonObject()) {
            throw new LoraConfigurationException("expected an object, found " + shorten(element));
        }
        this.object = element.getAsJsonObject();
    }

    boolean has(String name) {
        return object.has(name);
    }

    String text(String name) {
        return textOf(name, field(name));
    }

    Optional<String> optionalText(String name) {
        return has(name) ? Optional.of(text(name)) : Optional.empty();
    }

    Map<String, String> texts(String name) {
        Map<String, String> texts = new TreeMap<>();
        StoredFields inner = child(name);
        inner.object.asMap().forEach((key, value) -> texts.put(key, inner.textOf(key, value)));
        return texts;
    }

    boolean flag(String name) {
        if (field(name) instanceof JsonPrimitive primitive && primitive.isBoolean()) {
            return primitive.getAsBoolean();
        }
        throw wrong(name, "true or false");
    }

    long whole(String name) {
        try {
            return Long.parseLong(number(name, "a whole number"));
        } catch (NumberFormatException e) {
            throw wrong(name, "a whole number", e);
        }
    }

    Optional<Long> optionalWhole(String name) {
        return has(name) ? Optional.of(whole(name)) : Optional.empty();
    }

    double real(String name) {
        return Double.parseDouble(number(name, "a number"));
    }

    StoredFields child(String name) {
        return new StoredFields(field(name));
    }

    List<StoredFields> children(String name) {
        if (!(field(name) instanceof JsonArray array)) {
            throw wrong(name, "an array");
        }
        List<StoredFields> children = new ArrayList<>(array.size());
        array.forEach(element -> children.add(new StoredFields(element)));
        return children;
    }

    /** Throws if the object has fields that nobody has asked for. */
    void checkNoneLeft() {
        Set<String> left = new TreeSet<>(object.keySet());
        left.removeAll(read);
        if (!left.isEmpty()) {
            throw new LoraConfigurationException(
                    "unknown fields " + Message.oneLine(left.toString()));
        }
    }

    private JsonElement field(String name) {
        read.add(name);
        JsonElement value = object.get(name);
        if (value == null) {
            throw new LoraConfigurationException("field " + Message.quote(name) + " is missing");
        }
        return value;
    }

    private String textOf(String name, JsonElement value) {
        if (value instanceof JsonPrimitive primitive && primitive.isString()) {
            return primitive.getAsString();
        }
        throw wrong(name, "a string");
    }

    private String number(String name, String expected) {
        if (field(name) instanceof JsonPrimitive primitive && primitive.isNumber()) {
            return primitive.getAsString();
        }
        throw wrong(name, expected);
    }

    private LoraConfigurationException wrong(String name, String expected) {
        return wrong(name, expected, null);
    }

    private LoraConfigurationException wrong(String name, String expected, Throwable cause) {
        return new LoraConfigurationException(
                "field "
                        + Message.quote(name)
                        + " must be "
                        + expected
                        + ", found "
                        + shorten(object.get(name)),
                cause);
    }

    private static String shorten(JsonElement found) {
        return Message.quote(found.toString());
    }
}
