/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A call of a function that a model made.
 *
 * @param id what the result refers to; null where the model gives none
 * @param name the function's name
 * @param arguments the arguments by name, values as in JSON
 */
public record ToolCall(String id, String name, Map<String, Object> arguments) {

    /**
     * Constructs a new {@code ToolCall} instance.
     *
     * @param id what the result refers to; null where the model gives none
     * @param name the function's name
     * @param arguments the arguments by name
     */
    public ToolCall {
        arguments = Collections.unmodifiableMap(new LinkedHashMap<>(arguments));
    }

    /** Returns the call as templates see it. */
    Map<String, Object> toMap() {
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("name", name);
        function.put("arguments", arguments);
        Map<String, Object> call = new LinkedHashMap<>();
        if (id != null) {
            call.put("id", id);
        }
        call.put("type", "function");
        call.put("function", function);
        return call;
    }
}
