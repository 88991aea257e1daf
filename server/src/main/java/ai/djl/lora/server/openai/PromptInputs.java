/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.server.inference.BodyFields;
import ai.djl.lora.server.inference.Prompt;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads OpenAI's {@code prompt} and {@code input}: a text, a list of texts, the token ids of one
 * text, or a list of lists of them.
 */
final class PromptInputs {

    private static final int MOST = 2048;

    private PromptInputs() {}

    /**
     * Reads a field.
     *
     * @param body the body
     * @param name the field
     * @return the prompts, at least one; empty where the field is not given
     */
    static Optional<List<Prompt>> read(BodyFields body, String name) {
        Optional<JsonElement> given = body.element(name);
        if (given.isEmpty()) {
            return Optional.empty();
        }
        if (!given.get().isJsonArray()) {
            return Optional.of(List.of(new Prompt.Text(body.text(name).orElseThrow())));
        }
        JsonArray list = given.get().getAsJsonArray();
        if (list.isEmpty()) {
            throw body.wrong(name, "is empty; at least one is needed");
        }
        JsonElement first = list.get(0);
        if (first.isJsonPrimitive() && first.getAsJsonPrimitive().isNumber()) {
            return Optional.of(List.of(new Prompt.Tokens(body.wholes(name).orElseThrow())));
        }
        if (list.size() > MOST) {
            throw body.wrong(name, "has " + list.size() + " inputs; allowed are " + MOST);
        }
        List<Prompt> prompts = new ArrayList<>();
        if (first.isJsonArray()) {
            for (JsonElement each : list) {
                String place = name + '[' + prompts.size() + ']';
                int[] tokens = body.wholes(place, each);
                if (tokens.length == 0) {
                    throw body.wrong(place, "is empty; at least one token is needed");
                }
                prompts.add(new Prompt.Tokens(tokens));
            }
        } else {
            body.texts(name).orElseThrow().forEach(text -> prompts.add(new Prompt.Text(text)));
        }
        return Optional.of(prompts);
    }
}
