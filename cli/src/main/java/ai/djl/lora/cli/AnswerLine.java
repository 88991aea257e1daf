/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.translate.AnswerDetails;
import ai.djl.lora.translate.TextResult;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Locale;

/** Writes the answers to a prompt as one line of JSON. */
final class AnswerLine {

    private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();

    private AnswerLine() {}

    static String of(int index, TextResult result) {
        JsonObject object = new JsonObject();
        object.addProperty("index", index);
        object.addProperty("adapter", result.adapter());
        add(object, result);
        result.substitution()
                .ifPresent(
                        substitution -> {
                            String by = substitution.by().name().toLowerCase(Locale.ROOT);
                            object.addProperty("substituted_by", by);
                            object.addProperty("substitution_reason", substitution.reason());
                        });
        if (!result.others().isEmpty()) {
            JsonArray choices = new JsonArray();
            for (TextResult each : result.answers()) {
                JsonObject choice = new JsonObject();
                add(choice, each);
                choices.add(choice);
            }
            object.add("choices", choices);
        }
        return GSON.toJson(object);
    }

    private static void add(JsonObject object, TextResult result) {
        object.addProperty("text", result.text());
        object.add("tokens", GSON.toJsonTree(result.tokens()));
        AnswerDetails.add(object, result);
    }
}
