/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A request that a server is to answer.
 *
 * @param adapter the adapter; "" for the base model
 * @param prompt the prompt
 * @param expected the right answer, where it is known
 */
record ServerPrompt(String adapter, String prompt, Optional<String> expected) {

    /**
     * Reads a golden file.
     *
     * @param file one object a line, with {@code adapter}, {@code prompt} and {@code expected}
     * @return what it holds, one at least
     * @throws IOException if it cannot be read
     * @throws LoraConfigurationException naming the line that is wrong
     */
    static List<ServerPrompt> read(Path file) throws IOException {
        List<ServerPrompt> prompts = new ArrayList<>();
        int number = 0;
        for (String line : Files.readAllLines(file)) {
            ++number;
            if (!line.isBlank()) {
                String place = file + ", line " + number;
                JsonObject object = StrictJson.parseObject(line, place);
                prompts.add(
                        new ServerPrompt(
                                text(object, "adapter", place),
                                text(object, "prompt", place),
                                Optional.of(text(object, "expected", place))));
            }
        }
        if (prompts.isEmpty()) {
            throw new LoraConfigurationException(file + ": has no prompts");
        }
        return prompts;
    }

    private static String text(JsonObject object, String name, String place) {
        JsonElement value = object.get(name);
        if (value == null || !value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
            throw new LoraConfigurationException(
                    place + ": " + name + " is " + value + "; a text is needed");
        }
        return value.getAsString();
    }
}
