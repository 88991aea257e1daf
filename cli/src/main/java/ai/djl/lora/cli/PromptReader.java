/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads prompts, one JSON object a line. */
final class PromptReader {

    private static final Pattern COLUMN = Pattern.compile("column (\\d+)");

    private final List<String> fields;
    private final Set<String> required;

    /**
     * Constructs a new {@code PromptReader} instance.
     *
     * @param fields the fields that an object may have, each a string
     * @param required those of them that it must have
     */
    PromptReader(List<String> fields, Set<String> required) {
        this.fields = fields;
        this.required = required;
    }

    /**
     * Reads every line; empty ones are passed over.
     *
     * @param input the input, in UTF-8
     * @param name the input's name, for messages
     * @return the objects, in the order of the lines
     * @throws IOException if the input cannot be read
     * @throws LoraConfigurationException if a line is wrong; the message gives its number
     */
    List<Line> read(InputStream input, String name) throws IOException {
        List<Line> lines = new ArrayList<>();
        // A decoder of its own, since the one of the charset replaces what it cannot read.
        BufferedReader reader =
                new BufferedReader(
                        new InputStreamReader(input, StandardCharsets.UTF_8.newDecoder()));
        int number = 0;
        while (true) {
            ++number;
            String where = name + ", line " + number;
            String text;
            try {
                text = reader.readLine();
            } catch (CharacterCodingException e) {
                throw new LoraConfigurationException(where + ": is not UTF-8", e);
            }
            if (text == null) {
                return lines;
            }
            if (!text.isBlank()) {
                lines.add(new Line(where, parse(text, where)));
            }
        }
    }

    private Map<String, String> parse(String text, String where) throws IOException {
        Map<String, String> object = new LinkedHashMap<>();
        try (JsonReader json = new JsonReader(new StringReader(text))) {
            json.setStrictness(Strictness.STRICT);
            if (json.peek() != JsonToken.BEGIN_OBJECT) {
                throw new LoraConfigurationException(
                        where + ": found " + kind(json.peek()) + ", expected a JSON object");
            }
            json.beginObject();
            while (json.hasNext()) {
                String field = json.nextName();
                if (!fields.contains(field)) {
                    throw new LoraConfigurationException(
                            where
                                    + ": unknown field \""
                                    + field
                                    + "\", expected "
                                    + String.join(", ", fields));
                }
                String value = string(json, field, where);
                if (object.put(field, value) != null) {
                    throw new LoraConfigurationException(
                            where + ": field \"" + field + "\" is there twice");
                }
            }
            json.endObject();
            if (json.peek() != JsonToken.END_DOCUMENT) {
                throw new LoraConfigurationException(where + ": is more than one JSON object");
            }
        } catch (EOFException e) {
            throw new LoraConfigurationException(where + ": is not JSON: it ends too early", e);
        } catch (MalformedJsonException e) {
            // Gson's own words are about its programming interface.
            Matcher column = COLUMN.matcher(String.valueOf(e.getMessage()));
            throw new LoraConfigurationException(
                    where
                            + ": is not a JSON object"
                            + (column.find() ? ", at column " + column.group(1) : ""),
                    e);
        }
        for (String field : required) {
            if (!object.containsKey(field)) {
                throw new LoraConfigurationException(
                        where + ": field \"" + field + "\" is missing");
            }
        }
        return object;
    }

    private String string(JsonReader json, String field, String where) throws IOException {
        JsonToken token = json.peek();
        if (token == JsonToken.NULL && !required.contains(field)) {
            json.nextNull();
            return "";
        }
        if (token != JsonToken.STRING) {
            throw new LoraConfigurationException(
                    where + ": field \"" + field + "\" is " + kind(token) + ", expected a string");
        }
        return json.nextString();
    }

    private static String kind(JsonToken token) {
        switch (token) {
            case BEGIN_ARRAY:
                return "an array";
            case BEGIN_OBJECT:
                return "an object";
            case NUMBER:
                return "a number";
            case BOOLEAN:
                return "a boolean";
            case NULL:
                return "null";
            case STRING:
                return "a string";
            default:
                return "nothing";
        }
    }

    /**
     * A line.
     *
     * @param where the input's name and the line's number, for messages
     * @param fields the object's fields
     */
    record Line(String where, Map<String, String> fields) {

        /**
         * Returns a field.
         *
         * @param name the field's name
         * @return its value, empty if it is absent
         */
        String get(String name) {
            return fields.getOrDefault(name, "");
        }
    }
}
