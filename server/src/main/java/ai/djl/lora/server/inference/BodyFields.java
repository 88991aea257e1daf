/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Request;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/**
 * The fields of a JSON object of a request. It knows which of them were asked for, so that those
 * that nobody reads are refused and not passed over. A field that is {@code null} is one that is
 * not given, as OpenAI's clients mean it. What is wrong is told with the field's name.
 */
public final class BodyFields {

    private static final int SHOWN = 100;

    private final JsonObject object;
    private final String prefix;
    private final Set<String> known = new TreeSet<>();

    /**
     * Constructs a new {@code BodyFields} instance.
     *
     * @param object the object
     * @param prefix what stands before a field's name in messages; "" for the body itself
     */
    public BodyFields(JsonObject object, String prefix) {
        this.object = object;
        this.prefix = prefix;
    }

    /**
     * Reads the body of a request.
     *
     * @param request the request
     * @return its fields
     * @throws HttpFailure if it is not one JSON object
     */
    public static BodyFields of(Request request) {
        if (!(request.body() instanceof Body.InMemory body)) {
            throw new IllegalArgumentException("the route takes uploads");
        }
        try {
            return new BodyFields(StrictJson.parseObject(body.text(), "the body"), "");
        } catch (LoraConfigurationException e) {
            throw new HttpFailure(400, "invalid_json", e.getMessage(), null, Map.of(), e);
        }
    }

    /**
     * Returns a refusal of a field.
     *
     * @param name the field
     * @param found what is wrong, to follow the field's name
     * @return the failure
     */
    public HttpFailure wrong(String name, String found) {
        return wrong(name, found, null);
    }

    /**
     * Returns a refusal of a field.
     *
     * @param name the field
     * @param found what is wrong, to follow the field's name
     * @param cause what it comes from; null for nothing
     * @return the failure
     */
    HttpFailure wrong(String name, String found, Throwable cause) {
        String field = prefix + name;
        return new HttpFailure(400, "invalid_request", field + ' ' + found, field, Map.of(), cause);
    }

    /**
     * Returns whether a field is given. It counts as known then.
     *
     * @param name the field
     * @return whether it is there and not null
     */
    public boolean has(String name) {
        return element(name).isPresent();
    }

    /**
     * Returns a field's value.
     *
     * @param name the field
     * @return the value; empty where it is not given or null
     */
    public Optional<JsonElement> element(String name) {
        known.add(name);
        JsonElement value = object.get(name);
        return value == null || value.isJsonNull() ? Optional.empty() : Optional.of(value);
    }

    /**
     * Returns a text.
     *
     * @param name the field
     * @return the text; empty where it is not given
     */
    public Optional<String> text(String name) {
        return element(name)
                .map(
                        value -> {
                            if (!isText(value)) {
                                throw wrong(name, "is " + shown(value) + "; a text is needed");
                            }
                            return value.getAsString();
                        });
    }

    /**
     * Returns whether something is wanted.
     *
     * @param name the field
     * @param otherwise what holds where it is not given
     * @return the value
     */
    public boolean flag(String name, boolean otherwise) {
        return element(name)
                .map(
                        value -> {
                            if (!value.isJsonPrimitive()
                                    || !value.getAsJsonPrimitive().isBoolean()) {
                                throw wrong(
                                        name, "is " + shown(value) + "; true or false is needed");
                            }
                            return value.getAsBoolean();
                        })
                .orElse(otherwise);
    }

    /**
     * Returns a number.
     *
     * @param name the field
     * @return the number; empty where it is not given
     */
    public Optional<BigDecimal> number(String name) {
        return element(name).map(value -> number(name, value));
    }

    private BigDecimal number(String place, JsonElement value) {
        if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isNumber()) {
            throw wrong(place, "is " + shown(value) + "; a number is needed");
        }
        String text = value.getAsString();
        try {
            BigDecimal number = text.length() > SHOWN ? null : new BigDecimal(text);
            if (number != null && Math.abs((long) number.scale()) <= SHOWN * 10) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw wrong(place, "is " + shown(value) + "; a number is needed", e);
        }
        throw wrong(place, "is " + shown(value) + "; a number within bounds is needed");
    }

    /**
     * Returns a whole number.
     *
     * @param name the field
     * @return the number; empty where it is not given
     */
    public OptionalInt whole(String name) {
        Optional<JsonElement> value = element(name);
        return value.isPresent() ? OptionalInt.of(whole(name, value.get())) : OptionalInt.empty();
    }

    private int whole(String place, JsonElement value) {
        return Math.toIntExact(
                whole(place, value, Integer.MIN_VALUE, Integer.MAX_VALUE, "of 32 bits"));
    }

    /**
     * Returns a whole number of 64 bits.
     *
     * @param name the field
     * @return the number; empty where it is not given
     */
    public OptionalLong wholeLong(String name) {
        Optional<JsonElement> value = element(name);
        return value.isPresent()
                ? OptionalLong.of(
                        whole(name, value.get(), Long.MIN_VALUE, Long.MAX_VALUE, "of 64 bits"))
                : OptionalLong.empty();
    }

    private long whole(String place, JsonElement value, long least, long most, String size) {
        BigDecimal number = number(place, value);
        boolean is =
                number.stripTrailingZeros().scale() <= 0
                        && number.compareTo(BigDecimal.valueOf(least)) >= 0
                        && number.compareTo(BigDecimal.valueOf(most)) <= 0;
        if (!is) {
            throw wrong(place, "is " + shown(value) + "; a whole number " + size + " is needed");
        }
        return number.longValueExact();
    }

    /**
     * Returns a text, or the texts of a list.
     *
     * @param name the field
     * @return the texts, which may be none where a list is given; empty where it is not given
     */
    public Optional<List<String>> texts(String name) {
        return element(name)
                .map(
                        value -> {
                            if (isText(value)) {
                                return List.of(value.getAsString());
                            }
                            List<String> texts = new ArrayList<>();
                            for (JsonElement each :
                                    list(name, value, "a text or a list of texts")) {
                                if (!isText(each)) {
                                    throw wrong(
                                            name + '[' + texts.size() + ']',
                                            "is " + shown(each) + "; a text is needed");
                                }
                                texts.add(each.getAsString());
                            }
                            return texts;
                        });
    }

    /**
     * Returns the whole numbers of a list.
     *
     * @param name the field
     * @return the numbers; empty where it is not given
     */
    public Optional<int[]> wholes(String name) {
        return element(name).map(value -> wholes(name, value));
    }

    /**
     * Returns the whole numbers of a list.
     *
     * @param place the list's name, for messages
     * @param value the list
     * @return the numbers
     */
    public int[] wholes(String place, JsonElement value) {
        JsonArray list = list(place, value, "a list of whole numbers");
        int[] numbers = new int[list.size()];
        for (int i = 0; i < numbers.length; ++i) {
            numbers[i] = whole(place + '[' + i + ']', list.get(i));
        }
        return numbers;
    }

    /**
     * Returns an object's fields.
     *
     * @param name the field
     * @return its fields; empty where it is not given
     */
    public Optional<BodyFields> object(String name) {
        return element(name)
                .map(
                        value -> {
                            if (!value.isJsonObject()) {
                                throw wrong(name, "is " + shown(value) + "; an object is needed");
                            }
                            return new BodyFields(value.getAsJsonObject(), prefix + name + '.');
                        });
    }

    /**
     * Returns the fields of each object of a list.
     *
     * @param name the field
     * @return their fields; empty where it is not given
     */
    public Optional<List<BodyFields>> objects(String name) {
        return element(name)
                .map(
                        value -> {
                            List<BodyFields> objects = new ArrayList<>();
                            for (JsonElement each : list(name, value, "a list of objects")) {
                                String place = name + '[' + objects.size() + ']';
                                if (!each.isJsonObject()) {
                                    throw wrong(
                                            place, "is " + shown(each) + "; an object is needed");
                                }
                                objects.add(
                                        new BodyFields(
                                                each.getAsJsonObject(), prefix + place + '.'));
                            }
                            return objects;
                        });
    }

    private JsonArray list(String place, JsonElement value, String needed) {
        if (!value.isJsonArray()) {
            throw wrong(place, "is " + shown(value) + "; " + needed + " is needed");
        }
        return value.getAsJsonArray();
    }

    /**
     * Takes fields whose values make no difference here.
     *
     * @param names the fields
     */
    public void ignore(Collection<String> names) {
        known.addAll(names);
    }

    /**
     * Refuses a field whose effect cannot be given.
     *
     * @param name the field
     * @param harmless the value that says nothing; null where there is none
     * @param why what there is not, to follow "is given; "
     */
    public void refuse(String name, JsonPrimitive harmless, String why) {
        Optional<JsonElement> value = element(name);
        if (value.isPresent() && !value.get().equals(harmless)) {
            throw wrong(name, "is " + shown(value.get()) + "; " + why);
        }
    }

    /**
     * Refuses fields that nobody asked for.
     *
     * @throws HttpFailure naming the first of them
     */
    public void end() {
        for (String name : object.keySet()) {
            if (!known.contains(name)) {
                throw wrong(Message.oneLine(name), "is not a field that is known here");
            }
        }
    }

    /**
     * Returns the object without the fields that are null, to be read by others, who name what is
     * wrong in it themselves.
     *
     * @return a copy
     */
    JsonObject given() {
        JsonObject copy = new JsonObject();
        object.asMap()
                .forEach(
                        (name, value) -> {
                            if (value != JsonNull.INSTANCE) {
                                copy.add(name, value);
                            }
                        });
        return copy;
    }

    /** Returns what stands before a field's name in messages. */
    String prefix() {
        return prefix;
    }

    private static boolean isText(JsonElement value) {
        return value.isJsonPrimitive() && value.getAsJsonPrimitive().isString();
    }

    private static String shown(JsonElement value) {
        String text = value.toString();
        return Message.oneLine(text.length() > SHOWN ? text.substring(0, SHOWN) + "..." : text);
    }
}
