/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Makes prompts of conversations, by a template that is read when the first one comes: a template
 * that cannot be read must not keep a model from answering plain text.
 */
final class ChatPrompts {

    private final Path folder;
    private Optional<ChatTemplate> template;

    /**
     * Constructs a new {@code ChatPrompts} instance.
     *
     * @param folder the model's folder
     */
    ChatPrompts(Path folder) {
        this.folder = folder;
    }

    /**
     * Returns the model's template.
     *
     * @return the template
     * @throws LoraConfigurationException if there is none, or it cannot be read
     */
    synchronized ChatTemplate template() {
        if (template == null) {
            template = ChatTemplate.find(folder);
        }
        return template.orElseThrow(
                () ->
                        new LoraConfigurationException(
                                folder
                                        + " has no chat template; a conversation needs"
                                        + " chat_template.jinja or chat_template in"
                                        + " tokenizer_config.json"));
    }

    /** Returns the text that an answer to a conversation continues, special tokens included. */
    String render(ChatRequest request) {
        if (request.messages().isEmpty()) {
            throw new LoraConfigurationException("messages is empty; one is needed");
        }
        return template()
                .render(
                        request.messages(),
                        request.tools().isEmpty() ? null : request.tools(),
                        true,
                        request.variables());
    }
}
