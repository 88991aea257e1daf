/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the messages and functions of a request's body, in OpenAI's form.
 *
 * <p>There the arguments of a call are JSON in a text. Templates write them as JSON themselves, so
 * they are read first, as transformers' documentation asks for; text that is no JSON object stays.
 */
public final class ChatFields {

    /** A whole number with more digits is a mistake or an attack. */
    private static final int MAX_DIGITS = 1000;

    private ChatFields() {}

    /**
     * Reads a conversation.
     *
     * @param element a list of objects, each with {@code role}
     * @return its messages, at least one
     * @throws LoraConfigurationException naming what is wrong
     */
    public static List<ChatMessage> messages(JsonElement element) {
        List<ChatMessage> messages = new ArrayList<>();
        for (JsonElement each : list(element, "messages")) {
            String place = "messages[" + messages.size() + "]";
            JsonObject object = object(each, place);
            JsonElement role = object.get("role");
            if (role == null || !role.isJsonPrimitive() || !role.getAsJsonPrimitive().isString()) {
                throw new LoraConfigurationException(place + ".role is not a text; one is needed");
            }
            Map<String, Object> fields = map(object);
            fields.remove("role");
            fields.computeIfPresent("tool_calls", (name, calls) -> withReadArguments(calls));
            messages.add(new ChatMessage(role.getAsString(), fields));
        }
        if (messages.isEmpty()) {
            throw new LoraConfigurationException("messages is empty; one is needed");
        }
        return messages;
    }

    /**
     * Reads the functions that a model may call.
     *
     * @param element a list of objects
     * @return the functions
     * @throws LoraConfigurationException naming what is wrong
     */
    public static List<Map<String, Object>> tools(JsonElement element) {
        List<Map<String, Object>> tools = new ArrayList<>();
        for (JsonElement each : list(element, "tools")) {
            tools.add(map(object(each, "tools[" + tools.size() + "]")));
        }
        return tools;
    }

    /**
     * Reads further variables of a template.
     *
     * @param element an object
     * @param name what it is called in messages
     * @return the variables
     * @throws LoraConfigurationException naming what is wrong
     */
    public static Map<String, Object> variables(JsonElement element, String name) {
        return map(object(element, name));
    }

    private static Object withReadArguments(Object calls) {
        if (!(calls instanceof List<?> list)) {
            return calls;
        }
        List<Object> read = new ArrayList<>();
        for (Object call : list) {
            if (call instanceof Map<?, ?> fields
                    && fields.get("function") instanceof Map<?, ?> function
                    && function.get("arguments") instanceof String text) {
                Map<Object, Object> parsed = new LinkedHashMap<>(function);
                parsed.put("arguments", arguments(text));
                Map<Object, Object> changed = new LinkedHashMap<>(fields);
                changed.put("function", parsed);
                read.add(changed);
            } else {
                read.add(call);
            }
        }
        return read;
    }

    private static Object arguments(String text) {
        try {
            return map(StrictJson.parseObject(text, "arguments"));
        } catch (LoraConfigurationException e) {
            // a model may have written anything; the template gets what it wrote
            return text;
        }
    }

    private static List<JsonElement> list(JsonElement element, String name) {
        if (!element.isJsonArray()) {
            throw new LoraConfigurationException(name + " is not a list; one is needed");
        }
        return element.getAsJsonArray().asList();
    }

    private static JsonObject object(JsonElement element, String name) {
        if (!element.isJsonObject()) {
            throw new LoraConfigurationException(name + " is not a JSON object; one is needed");
        }
        return element.getAsJsonObject();
    }

    private static Map<String, Object> map(JsonObject object) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (Map.Entry<String, JsonElement> entry : object.entrySet()) {
            map.put(entry.getKey(), value(entry.getValue()));
        }
        return map;
    }

    private static Object value(JsonElement element) {
        if (element.isJsonNull()) {
            return null;
        }
        if (element.isJsonObject()) {
            return map(element.getAsJsonObject());
        }
        if (element.isJsonArray()) {
            List<Object> list = new ArrayList<>();
            for (JsonElement each : element.getAsJsonArray()) {
                list.add(value(each));
            }
            return Collections.unmodifiableList(list);
        }
        JsonPrimitive primitive = element.getAsJsonPrimitive();
        if (primitive.isBoolean()) {
            return primitive.getAsBoolean();
        }
        return primitive.isString() ? primitive.getAsString() : number(primitive.getAsString());
    }

    private static Number number(String text) {
        boolean whole = text.chars().allMatch(c -> c == '-' || c >= '0' && c <= '9');
        if (text.length() > MAX_DIGITS) {
            throw new LoraConfigurationException(
                    "the number "
                            + Message.quote(text)
                            + " has "
                            + text.length()
                            + " characters, allowed are "
                            + MAX_DIGITS);
        }
        return whole ? (Number) new BigInteger(text) : (Number) Double.valueOf(text);
    }
}
