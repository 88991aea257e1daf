/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.util.Locale;

/**
 * Writes answers as the translators for DJL Serving do, for servers of other kinds that speak with
 * the same clients.
 */
public final class ServingAnswers {

    private ServingAnswers() {}

    /**
     * Writes an answer: {@code generated_text}, who gave it, how it ended, and {@code choices}
     * where there are several.
     *
     * @param adapter the adapter's name for the client; "" for the base model
     * @param result the answer
     * @return the object
     */
    public static JsonObject whole(String adapter, TextResult result) {
        JsonObject answer = new JsonObject();
        answer.addProperty("generated_text", result.text());
        AnswerJson.addAdapter(answer, adapter, result.revision(), result.substitution());
        ChoiceFields.add(answer, result);
        return answer;
    }

    /**
     * Writes what a token adds, as a line of DJL LMI's {@code application/jsonlines}.
     *
     * @param chunk what the token adds
     * @return the object
     */
    public static JsonObject token(TextChunk chunk) {
        JsonObject token = new JsonObject();
        token.addProperty("id", chunk.token());
        token.addProperty("text", chunk.text());
        if (Float.isFinite(chunk.logProb())) {
            token.addProperty("log_prob", chunk.logProb());
        } else {
            token.add("log_prob", JsonNull.INSTANCE);
        }
        JsonObject line = new JsonObject();
        line.add("token", token);
        return line;
    }

    /**
     * Writes the last line of an answer.
     *
     * @param chunk what the last token adds
     * @param adapter the adapter's name for the client; "" for the base model
     * @param result the answer
     * @return the object
     */
    public static JsonObject last(TextChunk chunk, String adapter, TextResult result) {
        JsonObject line = token(chunk);
        line.addProperty("generated_text", result.text());
        JsonObject details = new JsonObject();
        details.addProperty("finish_reason", result.finishReason().name().toLowerCase(Locale.ROOT));
        details.addProperty("generated_tokens", result.tokens().length);
        AnswerJson.addAdapter(details, adapter, result.revision(), result.substitution());
        line.add("details", details);
        return line;
    }

    /**
     * Writes the last line of an answer that breaks off.
     *
     * @param reason why
     * @param textSoFar the text so far
     * @param tokens its tokens
     * @return the object
     */
    public static JsonObject failure(String reason, String textSoFar, int tokens) {
        JsonObject token = new JsonObject();
        token.addProperty("id", -1);
        token.addProperty("text", "");
        token.addProperty("log_prob", -1);
        token.addProperty("special_token", true);
        token.addProperty("error_msg", reason);
        JsonObject line = new JsonObject();
        line.add("token", token);
        line.addProperty("generated_text", textSoFar);
        JsonObject details = new JsonObject();
        details.addProperty("finish_reason", "error");
        details.addProperty("generated_tokens", tokens);
        line.add("details", details);
        return line;
    }
}
