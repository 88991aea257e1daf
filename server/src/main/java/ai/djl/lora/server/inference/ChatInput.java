/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.translate.ChatFields;
import ai.djl.lora.translate.ChatMessage;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Reads a conversation in OpenAI's form: {@code messages}, {@code tools} and {@code tool_choice},
 * and vLLM's {@code chat_template_kwargs}.
 *
 * <p>A message's content may be a list of parts of text; templates expect a text, so the parts are
 * joined by line breaks, as vLLM does. The role {@code developer} is what OpenAI calls {@code
 * system} with its newer models, and templates know the latter. A model's calls of functions come
 * as it writes them, in the text of its answer.
 */
public final class ChatInput {

    /** Fields of messages that OpenAI's answers have, and that say nothing where they are null. */
    private static final Set<String> EMPTY =
            Set.of("refusal", "audio", "annotations", "function_call", "tool_calls", "name");

    private ChatInput() {}

    /**
     * Reads the conversation of a body.
     *
     * @param body the body
     * @return the conversation
     * @throws HttpFailure naming what is wrong
     */
    public static Prompt read(BodyFields body) {
        JsonElement given =
                body.element("messages")
                        .orElseThrow(() -> body.wrong("messages", "is missing; a list is needed"));
        List<ChatMessage> messages = new ArrayList<>();
        for (ChatMessage message : named("messages", () -> ChatFields.messages(given))) {
            messages.add(plain(body, messages.size(), message));
        }
        Optional<JsonElement> tools = body.element("tools");
        List<Map<String, Object>> functions =
                tools.isEmpty() ? List.of() : named("tools", () -> ChatFields.tools(tools.get()));
        Optional<JsonElement> variables = body.element("chat_template_kwargs");
        return new Prompt.Chat(
                messages,
                usesTools(body, !functions.isEmpty()) ? functions : List.of(),
                variables.isEmpty()
                        ? Map.of()
                        : named(
                                "chat_template_kwargs",
                                () ->
                                        ChatFields.variables(
                                                variables.get(), "chat_template_kwargs")));
    }

    private static <T> T named(String field, Supplier<T> read) {
        try {
            return read.get();
        } catch (LoraConfigurationException e) {
            throw new HttpFailure(400, "invalid_request", e.getMessage(), field, Map.of(), e);
        }
    }

    private static boolean usesTools(BodyFields body, boolean given) {
        Optional<JsonElement> choice = body.element("tool_choice");
        if (choice.isEmpty()) {
            return true;
        }
        String text = choice.get().isJsonPrimitive() ? choice.get().getAsString() : "";
        return switch (text) {
            case "none" -> false;
            case "auto" -> {
                if (!given) {
                    throw body.wrong("tool_choice", "is \"auto\" and tools has none");
                }
                yield true;
            }
            default ->
                    throw body.wrong(
                            "tool_choice",
                            "is "
                                    + (choice.get() instanceof JsonObject
                                            ? "a function"
                                            : choice.get().toString())
                                    + "; a call cannot be forced, allowed are auto and none");
        };
    }

    private static ChatMessage plain(BodyFields body, int index, ChatMessage message) {
        String place = "messages[" + index + "].";
        Map<String, Object> fields = new LinkedHashMap<>(message.fields());
        fields.entrySet().removeIf(f -> f.getValue() == null && EMPTY.contains(f.getKey()));
        for (String field : List.of("refusal", "audio", "function_call")) {
            if (fields.containsKey(field)) {
                throw body.wrong(place + field, "is given; templates do not know it");
            }
        }
        checkCalls(body, place, fields);
        Object content = fields.get("content");
        if (content instanceof List<?> parts) {
            fields.put("content", joined(body, place + "content", parts));
        } else if (content != null && !(content instanceof String)) {
            throw body.wrong(place + "content", "is neither a text nor a list of parts");
        } else if (content == null && !fields.containsKey("tool_calls")) {
            throw body.wrong(place + "content", "is missing; a text is needed");
        }
        String role = "developer".equals(message.role()) ? "system" : message.role();
        return new ChatMessage(role, fields);
    }

    private static void checkCalls(BodyFields body, String place, Map<String, Object> fields) {
        for (String field : List.of("tool_call_id", "name")) {
            if (fields.get(field) != null && !(fields.get(field) instanceof String)) {
                throw body.wrong(place + field, "is no text; one is needed");
            }
        }
        Object calls = fields.get("tool_calls");
        boolean sound =
                calls == null
                        || calls instanceof List<?> list
                                && list.stream().allMatch(each -> each instanceof Map);
        if (!sound) {
            throw body.wrong(place + "tool_calls", "is no list of objects; one is needed");
        }
    }

    private static String joined(BodyFields body, String place, List<?> parts) {
        List<String> texts = new ArrayList<>();
        for (Object part : parts) {
            String where = place + '[' + texts.size() + ']';
            if (!(part instanceof Map<?, ?> fields)) {
                throw body.wrong(where, "is not an object; a part of type text is needed");
            }
            if (!"text".equals(fields.get("type"))) {
                throw body.wrong(
                        where + ".type",
                        "is " + fields.get("type") + "; the model reads text alone");
            }
            if (!(fields.get("text") instanceof String text)) {
                throw body.wrong(where + ".text", "is missing; a text is needed");
            }
            texts.add(text);
        }
        return String.join("\n", texts);
    }
}
