/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A message of a conversation, with the fields that chat templates read.
 *
 * <p>The values of fields are those of JSON: null, Boolean, Number, String, List and Map. Which
 * fields there may be is the template's matter; most know {@code content}, {@code tool_calls},
 * {@code tool_call_id} and {@code name}.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, {@code tool}, or another
 *     that the template knows
 * @param fields all but the role, in the order in which a template that goes through them sees them
 */
public record ChatMessage(String role, Map<String, Object> fields) {

    /**
     * Constructs a new {@code ChatMessage} instance.
     *
     * @param role who speaks
     * @param fields all but the role
     */
    public ChatMessage {
        if (role == null || fields.containsKey("role")) {
            throw new IllegalArgumentException("a message has one role, which is no field");
        }
        fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
    }

    /**
     * Returns a message that is text.
     *
     * @param role who speaks
     * @param content what is said
     * @return the message
     */
    public static ChatMessage of(String role, String content) {
        return new ChatMessage(role, fields(content));
    }

    /**
     * Returns what the model is told before the conversation.
     *
     * @param content the instructions
     * @return the message
     */
    public static ChatMessage system(String content) {
        return of("system", content);
    }

    /**
     * Returns what a person says.
     *
     * @param content the text
     * @return the message
     */
    public static ChatMessage user(String content) {
        return of("user", content);
    }

    /**
     * Returns what the model said.
     *
     * @param content the text
     * @return the message
     */
    public static ChatMessage assistant(String content) {
        return of("assistant", content);
    }

    /**
     * Returns a message in which the model calls functions.
     *
     * @param content what it said beside; null for nothing
     * @param calls the calls
     * @return the message
     */
    public static ChatMessage assistant(String content, List<ToolCall> calls) {
        Map<String, Object> fields = fields(content);
        fields.put("tool_calls", calls.stream().map(ToolCall::toMap).toList());
        return new ChatMessage("assistant", fields);
    }

    /**
     * Returns what a function returned.
     *
     * @param content the result
     * @param callId the id of the call
     * @return the message
     */
    public static ChatMessage tool(String content, String callId) {
        Map<String, Object> fields = fields(content);
        fields.put("tool_call_id", callId);
        return new ChatMessage("tool", fields);
    }

    /** Returns the message as templates see it. */
    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("role", role);
        map.putAll(fields);
        return map;
    }

    private static Map<String, Object> fields(String content) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("content", content);
        return fields;
    }
}
