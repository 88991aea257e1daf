/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.OptionalInt;
import java.util.Set;

/** The fields of a JSON object in a file, read with their types and ranges checked. */
final class JsonFields {

    private static final int MAX_BYTES = 16_000_000;

    /** Far above every size in use, and small enough that products of two fit into a long. */
    private static final int MAX_INTEGER = 1 << 24;

    private final String file;
    private final String prefix;
    private final JsonObject object;

    private JsonFields(String file, String prefix, JsonObject object) {
        this.file = file;
        this.prefix = prefix;
        this.object = object;
    }

    /**
     * Reads a file that holds one JSON object.
     *
     * @param file the file
     * @return its fields
     * @throws LoraConfigurationException if it cannot be read or is not a JSON object
     */
    static JsonFields read(Path file) {
        JsonObject object = StrictJson.readObject(file, MAX_BYTES);
        return new JsonFields(Message.oneLine(file.toString()), "", object);
    }

    /** Returns whether the field is there and not null. */
    boolean has(String name) {
        return object.has(name) && !object.get(name).isJsonNull();
    }

    /** Returns whether the field is there, be it null. */
    boolean mentions(String name) {
        return object.has(name);
    }

    /** Returns the object in a field. */
    JsonFields child(String name) {
        JsonElement element = object.get(name);
        if (!element.isJsonObject()) {
            throw wrong(name, "an object");
        }
        return new JsonFields(file, prefix + name + '.', element.getAsJsonObject());
    }

    /** Returns whether one of the fields holds an object. */
    boolean holdsObjects() {
        return object.entrySet().stream().anyMatch(field -> field.getValue().isJsonObject());
    }

    String string(String name) {
        JsonElement element = required(name, "a string");
        if (!isPrimitive(element) || !element.getAsJsonPrimitive().isString()) {
            throw wrong(name, "a string");
        }
        return element.getAsString();
    }

    boolean flag(String name, boolean absent) {
        if (!has(name)) {
            return absent;
        }
        JsonElement element = object.get(name);
        if (!isPrimitive(element) || !element.getAsJsonPrimitive().isBoolean()) {
            throw wrong(name, "true or false");
        }
        return element.getAsBoolean();
    }

    int integer(String name, int atLeast) {
        required(name, integerExpected(atLeast));
        return integerOf(name, object.get(name), atLeast);
    }

    int integer(String name, int atLeast, int absent) {
        return has(name) ? integer(name, atLeast) : absent;
    }

    double number(String name, double moreThan) {
        String expected = "a number greater than " + moreThan;
        JsonElement element = required(name, expected);
        if (!isPrimitive(element) || !element.getAsJsonPrimitive().isNumber()) {
            throw wrong(name, expected);
        }
        double value = element.getAsDouble();
        if (!(value > moreThan) || Double.isInfinite(value)) {
            throw wrong(name, expected);
        }
        return value;
    }

    double number(String name, double moreThan, double absent) {
        return has(name) ? number(name, moreThan) : absent;
    }

    OptionalInt tokenId(String name, int vocabSize) {
        if (!has(name)) {
            return OptionalInt.empty();
        }
        return OptionalInt.of(tokenIdOf(name, object.get(name), vocabSize));
    }

    /** Returns the ids in a field that holds one, or a list of them; none if it is null. */
    Set<Integer> tokenIds(String name, int vocabSize) {
        Set<Integer> ids = new LinkedHashSet<>();
        if (has(name)) {
            JsonElement element = object.get(name);
            if (element.isJsonArray()) {
                for (JsonElement id : element.getAsJsonArray()) {
                    ids.add(tokenIdOf(name, id, vocabSize));
                }
            } else {
                ids.add(tokenIdOf(name, element, vocabSize));
            }
        }
        return ids;
    }

    String[] strings(String name) {
        JsonElement element = object.get(name);
        if (!element.isJsonArray()) {
            throw wrong(name, "a list of strings");
        }
        JsonArray array = element.getAsJsonArray();
        String[] values = new String[array.size()];
        for (int i = 0; i < values.length; ++i) {
            JsonElement value = array.get(i);
            if (!isPrimitive(value) || !value.getAsJsonPrimitive().isString()) {
                throw wrong(name, "a list of strings");
            }
            values[i] = value.getAsString();
        }
        return values;
    }

    /** Makes the exception that says that a field's value is not what was expected. */
    LoraConfigurationException wrong(String name, String expected) {
        String found = object.has(name) ? shortened(object.get(name).toString()) : "missing";
        return new LoraConfigurationException(
                file
                        + ": field \""
                        + prefix
                        + name
                        + "\" is "
                        + Message.oneLine(found)
                        + "; expected "
                        + expected);
    }

    private int tokenIdOf(String name, JsonElement element, int vocabSize) {
        int id = integerOf(name, element, 0);
        if (id >= vocabSize) {
            throw wrong(name, "token ids below vocab_size, which is " + vocabSize);
        }
        return id;
    }

    private JsonElement required(String name, String expected) {
        if (!has(name)) {
            throw wrong(name, expected);
        }
        return object.get(name);
    }

    private int integerOf(String name, JsonElement element, int atLeast) {
        if (!isPrimitive(element) || !element.getAsJsonPrimitive().isNumber()) {
            throw wrong(name, integerExpected(atLeast));
        }
        double value = element.getAsDouble();
        if (value != Math.rint(value) || value < atLeast || value > MAX_INTEGER) {
            throw wrong(name, integerExpected(atLeast));
        }
        return (int) value;
    }

    private static String integerExpected(int atLeast) {
        return "an integer from " + atLeast + " to " + MAX_INTEGER;
    }

    private static boolean isPrimitive(JsonElement element) {
        return element.isJsonPrimitive();
    }

    private static String shortened(String json) {
        return json.length() <= 80 ? json : json.substring(0, 77) + "...";
    }
}
