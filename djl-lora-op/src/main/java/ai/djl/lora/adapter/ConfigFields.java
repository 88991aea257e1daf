/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.Arrays;
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
public final class ConfigFields {

    /** As many modules as the largest models have, each by its full name. */
    private static final int MAX_ENTRIES = 65_536;

    private final String file;
    private final JsonObject json;
    private final Set<String> known = new HashSet<>();
    private final List<Issue> issues = new ArrayList<>();

    /**
     * Constructs a new {@code ConfigFields} instance.
     *
     * @param file the file, for messages
     * @param json its content
     */
    public ConfigFields(String file, JsonObject json) {
        this.file = file;
        this.json = json;
    }

    /**
     * Returns a field's value.
     *
     * @param name the field
     * @return the value, empty where it is absent or null
     */
    public Optional<JsonElement> value(String name) {
        known.add(name);
        JsonElement value = json.get(name);
        return value == null || value.isJsonNull() ? Optional.empty() : Optional.of(value);
    }

    /**
     * Returns the file, for messages.
     *
     * @return the file
     */
    public String file() {
        return file;
    }

    /**
     * Leaves fields that matter in training alone.
     *
     * @param names the fields
     */
    public void leave(String... names) {
        known.addAll(Arrays.asList(names));
    }

    /**
     * Leaves a dropout alone, which acts in training only, and warns where it is not 0: who takes
     * an adapter over may wonder.
     *
     * @param name the field
     * @throws LoraConfigurationException if it is no number
     */
    public void leaveDropout(String name) {
        value(name)
                .map(value -> number(name, value))
                .filter(dropout -> dropout != 0)
                .ifPresent(
                        dropout ->
                                warn(
                                        "config-dropout",
                                        name + " is " + dropout + "; it acts in training alone"));
    }

    /**
     * Adds a warning to the adapter's report.
     *
     * @param code what kind of thing it is
     * @param message one line
     */
    public void warn(String code, String message) {
        issues.add(new Issue(Severity.WARNING, code, message));
    }

    /** Returns the warnings. */
    List<Issue> issues() {
        return issues;
    }

    /**
     * Refuses fields that ask for something.
     *
     * @param refused why each is refused, by field
     * @throws LoraVariantException if one of them {@linkplain #isSet is set}
     */
    public void refuseWhenSet(Map<String, String> refused) {
        refused.forEach(
                (name, why) ->
                        value(name)
                                .filter(ConfigFields::isSet)
                                .ifPresent(
                                        value -> {
                                            throw unsupported(name, value, why);
                                        }));
    }

    /**
     * Returns the failure of a field that asks for what is not supported.
     *
     * @param name the field
     * @param value its value
     * @param why what it asks for
     * @return the failure, to be thrown
     */
    public LoraVariantException unsupported(String name, JsonElement value, String why) {
        return new LoraVariantException(
                where(name)
                        + " = "
                        + Message.quote(value.toString())
                        + " is not supported ("
                        + why
                        + ")");
    }

    /**
     * Refuses a list that is too long for what has to be done with each of its elements.
     *
     * @param name the field, for messages
     * @param array the list
     * @param most the number of elements that is allowed
     * @throws LoraConfigurationException if there are more
     */
    public void checkCount(String name, JsonArray array, int most) {
        if (array.size() > most) {
            throw new LoraConfigurationException(
                    where(name) + " has " + array.size() + " entries, allowed are " + most);
        }
    }

    /**
     * Returns a list of strings.
     *
     * @param name the field
     * @param most the number of strings that is allowed
     * @return the strings, none where the field is absent or null
     * @throws LoraConfigurationException if it is anything else
     */
    public List<String> textList(String name, int most) {
        Optional<JsonElement> value = value(name);
        if (value.isEmpty()) {
            return List.of();
        }
        if (value.get() instanceof JsonArray array) {
            checkCount(name, array, most);
            return texts(name, array, "a list of strings");
        }
        throw wrong(name, "a list of strings", value.get());
    }

    /**
     * Returns a list of whole numbers.
     *
     * @param name the field, for messages
     * @param value the value
     * @return the numbers, from 0 on
     * @throws LoraConfigurationException if it is anything else
     */
    public int[] wholes(String name, JsonElement value) {
        if (value instanceof JsonArray array) {
            int[] numbers = new int[array.size()];
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = whole(name, array.get(i), 0);
            }
            return numbers;
        }
        throw wrong(name, "a list of integers from 0 on", value);
    }

    /**
     * Returns a text.
     *
     * @param name the field
     * @return the text, empty where it is absent or null
     * @throws LoraConfigurationException if it is no string
     */
    public Optional<String> text(String name) {
        return value(name)
                .map(
                        value -> {
                            if (!isText(value)) {
                                throw wrong(name, "a string", value);
                            }
                            return value.getAsString();
                        });
    }

    /**
     * Returns a boolean.
     *
     * @param name the field
     * @return the value, false where it is absent or null
     * @throws LoraConfigurationException if it is no boolean
     */
    public boolean flag(String name) {
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

    /**
     * Returns a field that must be there.
     *
     * @param name the field
     * @param expected what it must be, for the message
     * @return the value
     * @throws LoraConfigurationException if it is absent or null
     */
    public JsonElement required(String name, String expected) {
        return value(name)
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        where(name) + " is missing, expected " + expected));
    }

    /**
     * Returns an object's members.
     *
     * @param name the field
     * @return the members in the file's order, none where the field is absent or null
     * @throws LoraConfigurationException if it is no object
     */
    public Map<String, JsonElement> members(String name) {
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

    /**
     * Returns the strings of an array.
     *
     * @param name the field, for messages
     * @param array the array
     * @param expected what the field must be, for messages
     * @return the strings
     * @throws LoraConfigurationException if an element is no string, or there are too many
     */
    public List<String> texts(String name, JsonArray array, String expected) {
        checkCount(name, array, MAX_ENTRIES);
        List<String> texts = new ArrayList<>();
        for (JsonElement element : array) {
            if (!isText(element)) {
                throw wrong(name, expected, element);
            }
            texts.add(element.getAsString());
        }
        return texts;
    }

    /**
     * Returns a whole number.
     *
     * @param name the field, for messages
     * @param value the value
     * @param least the least number that is allowed
     * @return the number
     * @throws LoraConfigurationException if the value is anything else
     */
    public int whole(String name, JsonElement value, int least) {
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

    /**
     * Returns a finite number.
     *
     * @param name the field, for messages
     * @param value the value
     * @return the number
     * @throws LoraConfigurationException if the value is anything else
     */
    public double number(String name, JsonElement value) {
        if (value instanceof JsonPrimitive primitive && primitive.isNumber()) {
            double number = Double.parseDouble(primitive.getAsString());
            if (Double.isFinite(number)) {
                return number;
            }
        }
        throw wrong(name, "a finite number", value);
    }

    /**
     * Returns the failure of a field whose value is not what it must be.
     *
     * @param name the field
     * @param expected what it must be
     * @param found its value
     * @return the failure, to be thrown
     */
    public LoraConfigurationException wrong(String name, String expected, JsonElement found) {
        return new LoraConfigurationException(message(name, expected, found));
    }

    /**
     * Returns the file and a field, for messages.
     *
     * @param name the field
     * @return the text
     */
    public String where(String name) {
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

    /**
     * Returns whether a value says anything.
     *
     * @param value the value
     * @return whether it is anything but null, false, "", [] or {}
     */
    public static boolean isSet(JsonElement value) {
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
