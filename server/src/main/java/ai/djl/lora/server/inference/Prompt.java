/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.translate.ChatMessage;
import ai.djl.lora.translate.ChatRequest;
import ai.djl.lora.translate.GenerationInput;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TokenRequest;
import java.util.List;
import java.util.Map;

/** What is to be answered, before it is known by which adapter. */
public sealed interface Prompt {

    /**
     * A text.
     *
     * @param text the text
     */
    record Text(String text) implements Prompt {}

    /**
     * Tokens.
     *
     * @param tokens the token ids
     */
    record Tokens(int[] tokens) implements Prompt {}

    /**
     * A conversation.
     *
     * @param messages the messages
     * @param tools the functions that the model may call
     * @param variables further variables of the template
     */
    record Chat(
            List<ChatMessage> messages,
            List<Map<String, Object>> tools,
            Map<String, Object> variables)
            implements Prompt {

        /**
         * Constructs a new {@code Chat} instance.
         *
         * @param messages the messages
         * @param tools the functions that the model may call
         * @param variables further variables of the template
         */
        public Chat {
            messages = List.copyOf(messages);
            tools = List.copyOf(tools);
        }
    }

    /**
     * Returns how it begins, for rules that look at that.
     *
     * @return the text; of a conversation the first message's, of tokens ""
     */
    default String beginning() {
        if (this instanceof Text text) {
            return text.text;
        }
        if (this instanceof Chat chat && !chat.messages.isEmpty()) {
            return chat.messages.get(0).fields().get("content") instanceof String text ? text : "";
        }
        return "";
    }

    /**
     * Returns the request for an adapter.
     *
     * @param target the store's name of the adapter; "" for the base model
     * @param sampling how tokens are chosen
     * @return the request
     */
    default GenerationInput input(String target, SamplingParameters sampling) {
        if (this instanceof Text text) {
            return new TextRequest(text.text, target, sampling);
        }
        if (this instanceof Tokens tokens) {
            return new TokenRequest(tokens.tokens, target, sampling);
        }
        Chat chat = (Chat) this;
        return new ChatRequest(chat.messages, chat.tools, chat.variables, target, sampling);
    }
}
