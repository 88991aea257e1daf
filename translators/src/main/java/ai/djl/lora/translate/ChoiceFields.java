/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;

/** Writes what is said of each of the answers to a request. */
final class ChoiceFields {

    private ChoiceFields() {}

    /** Adds an answer's fields, and a list of all answers where there are several. */
    static void add(JsonObject object, TextResult result) {
        addOne(object, result);
        if (!result.others().isEmpty()) {
            JsonArray choices = new JsonArray();
            for (TextResult each : result.answers()) {
                JsonObject choice = new JsonObject();
                choice.addProperty("generated_text", each.text());
                addOne(choice, each);
                choices.add(choice);
            }
            object.add("choices", choices);
        }
    }

    private static void addOne(JsonObject object, TextResult result) {
        object.addProperty("generated_tokens", result.tokens().length);
        AnswerDetails.add(object, result);
    }
}
