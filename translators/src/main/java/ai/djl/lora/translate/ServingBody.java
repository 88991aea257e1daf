/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.modality.Input;
import com.google.gson.JsonObject;
import java.util.Locale;
import java.util.Optional;

/**
 * The content of a serving {@code Input}.
 *
 * @param text the content
 * @param json what it is as JSON; empty where it is plain text
 */
record ServingBody(String text, Optional<JsonObject> json) {

    /**
     * Reads an input.
     *
     * @param input the input
     * @return its content
     * @throws LoraConfigurationException if there is none, or it is of another type
     */
    static ServingBody read(Input input) {
        String text = ServingRequestParser.body(input);
        String contentType = input.getProperty("Content-Type", "text/plain");
        String mediaType = contentType.split(";", 2)[0].trim().toLowerCase(Locale.ROOT);
        return switch (mediaType) {
            case "text/plain" -> new ServingBody(text, Optional.empty());
            case "application/json" ->
                    new ServingBody(text, Optional.of(ServingRequestParser.json(text)));
            default ->
                    throw new LoraConfigurationException(
                            "the content type is "
                                    + contentType
                                    + "; it must be application/json or text/plain");
        };
    }
}
