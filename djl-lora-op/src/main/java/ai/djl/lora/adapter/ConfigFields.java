/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The fields of a configuration, read with their types checked; knows which of them nobody has
 * asked for. A field that is null counts as one that is absent, as PEFT writes what is not set.
 */
final class ConfigFields {

    private final String file;
    private final JsonObject json;
    private final Set<String> known = new HashSet<>();

    /**
     * Constructs a new {@code ConfigFields} instance.
     *
     * @param file the file, for messages
     * @param json its content
     */
    ConfigFields(String file, JsonObject json) {
        this.file = file;
        this.json = json;
    }

    /** Returns a field's value, empty where it is absent or null. */
    Optional<JsonElement> value(String name) {
        known.add(name);
        JsonElement value = json.get(name);
        return value == null || value.isJsonNull() ? Optional.empty() : Optional.of(value);
    }

    /** Returns a text. */
    Optional<String> text(String name) {
        return value(name)
                .map(
                        value -> {
                            if (!isText(value)) {
                                throw wrong(name, "a string", value);
                            }
                            return value.getAsString();
                        });
    }

    /** Returns a boolean, false where it is absent. */
    boolean flag(String name) {
        return value(name)
                .map(
                        value -> {
                            if (!(value instanceof JsonPrimitive primitive)
                                    || !primitive.isBoolean()) {
                                throw wrong(name, "true or false", value);
                            }
                            return primitive.getAsBoolean();
                        })
                .orElse(false);
    }

    /** Returns a field that must be there. */
    JsonElement required(String name, String expected) {
        return value(name)
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        where(name) + " is missing, expected " + expected));
    }

    /** Returns an object's members in the file's order, none where it is absent. */
    Map<String, JsonElement> members(String name) {
        Map<String, JsonElement> members = new LinkedHashMap<>();
        value(name)
                .ifPresent(
                        value -> {
                            if (!value.isJsonObject()) {
                                throw wrong(name, "an object", value);
                            }
                            members.putAll(value.getAsJsonObject().asMap());
                        });
        return members;
    }

    /** Returns the strings of an array. */
    List<String> texts(String name, JsonArray array, String expected) {
        List<String> texts = new ArrayList<>();
        for (JsonElement element : array) {
            if (!isText(element)) {
                throw wrong(name, expected, element);
            }
            texts.add(element.getAsString());
        }
        return texts;
    }

    /** Returns a whole number that is at least the given one. */
    int whole(String name, JsonElement value, int least) {
        if (value instanceof JsonPrimitive primitive && primitive.isNumber()) {
            try {
                int number = Integer.parseInt(primitive.getAsString());
                if (number >= least) {
                    return number;
                }
            } catch (NumberFormatException e) {
                throw new LoraConfigurationException(message(name, wholeFrom(least), value), e);
            }
        }
        throw wrong(name, wholeFrom(least), value);
    }

    /** Returns a finite number. */
    double number(String name, JsonElement value) {
        if (value instanceof JsonPrimitive primitive && primitive.isNumber()) {
            double number = Double.parseDouble(primitive.getAsString());
            if (Double.isFinite(number)) {
                return number;
            }
        }
        throw wrong(name, "a finite number", value);
    }

    /** Returns the failure of a field whose value is not what it must be. */
    LoraConfigurationException wrong(String name, String expected, JsonElement found) {
        return new LoraConfigurationException(message(name, expected, found));
    }

    /** Returns the file and the field, for messages. */
    String where(String name) {
        return file + ": field " + Message.quote(name);
    }

    /** Returns the fields that nobody has asked for and that hold something. */
    Map<String, JsonElement> unknown() {
        Map<String, JsonElement> unknown = new LinkedHashMap<>();
        json.asMap()
                .forEach(
                        (name, value) -> {
                            if (!known.contains(name) && isSet(value)) {
                                unknown.put(name, value);
                            }
                        });
        return unknown;
    }

    /** Returns whether a value is anything but null, false, "", [] or {}. */
    static boolean isSet(JsonElement value) {
        if (value.isJsonNull()) {
            return false;
        }
        if (value instanceof JsonPrimitive primitive) {
            return primitive.isBoolean()
                    ? primitive.getAsBoolean()
                    : !primitive.getAsString().isEmpty();
        }
        return value instanceof JsonArray array
                ? !array.isEmpty()
                : !value.getAsJsonObject().isEmpty();
    }

    private static boolean isText(JsonElement value) {
        return value instanceof JsonPrimitive primitive && primitive.isString();
    }

    private static String wholeFrom(int least) {
        return least == 1 ? "a positive integer" : "an integer from " + least + " on";
    }

    private String message(String name, String expected, JsonElement found) {
        String text = found.toString();
        return where(name)
                + " must be "
                + expected
                + ", found "
                + (text.length() <= 60
                        ? Message.oneLine(text)
                        : Message.oneLine(text.substring(0, 60)) + "...");
    }
}
