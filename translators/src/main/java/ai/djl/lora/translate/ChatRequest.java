/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A conversation, the adapter that is to say the next thing, and how. The model's chat template
 * makes the prompt of it.
 *
 * @param messages the conversation
 * @param tools the functions that the model may call, as JSON schemas in the form of OpenAI's
 *     {@code tools}; empty for none
 * @param variables further variables of the template, such as {@code enable_thinking}
 * @param adapter the name of the adapter; empty or null for the base model
 * @param sampling how tokens are chosen; null for the translator's own parameters
 */
public record ChatRequest(
        List<ChatMessage> messages,
        List<Map<String, Object>> tools,
        Map<String, Object> variables,
        String adapter,
        SamplingParameters sampling)
        implements GenerationInput {

    /**
     * Constructs a new {@code ChatRequest} instance.
     *
     * @param messages the conversation
     * @param tools the functions that the model may call; empty for none
     * @param variables further variables of the template
     * @param adapter the name of the adapter; empty or null for the base model
     * @param sampling how tokens are chosen; null for the translator's own parameters
     */
    public ChatRequest {
        messages = List.copyOf(messages);
        tools = List.copyOf(tools);
        variables = Collections.unmodifiableMap(new LinkedHashMap<>(variables));
        adapter = adapter == null ? "" : adapter;
    }

    /**
     * Constructs a new {@code ChatRequest} instance that leaves sampling to the translator.
     *
     * @param messages the conversation
     * @param adapter the name of the adapter; empty or null for the base model
     */
    public ChatRequest(List<ChatMessage> messages, String adapter) {
        this(messages, List.of(), Map.of(), adapter, null);
    }
}
