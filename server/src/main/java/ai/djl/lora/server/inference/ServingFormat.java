/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.translate.ServingAnswers;
import ai.djl.lora.translate.TextChunk;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.List;

/**
 * Answers as DJL Serving's translators have them: an object, or a list of them where the inputs
 * came as a list, streamed as DJL LMI's lines of JSON.
 */
final class ServingFormat implements AnswerFormat {

    private static final String REASON = "substitution_reason";

    private final boolean list;
    private final StringBuilder text = new StringBuilder();
    private TextChunk last;
    private int count;

    /**
     * Constructs a new {@code ServingFormat} instance.
     *
     * @param list whether the inputs came as a list
     */
    ServingFormat(boolean list) {
        this.list = list;
    }

    /** {@inheritDoc} */
    @Override
    public JsonElement whole(List<InputAnswer> answers) {
        JsonArray all = new JsonArray();
        for (InputAnswer answer : answers) {
            all.add(told(ServingAnswers.whole(answer.adapter(), answer.result())));
        }
        return list ? all : all.get(0);
    }

    /** {@inheritDoc} */
    @Override
    public String streamType() {
        return "application/jsonlines";
    }

    /** {@inheritDoc} */
    @Override
    public List<String> begin(List<InputBegin> inputs) {
        return List.of();
    }

    /** {@inheritDoc} */
    @Override
    public String chunk(int input, int choice, TextChunk chunk) {
        ++count;
        text.append(chunk.text());
        if (chunk.finishReason() != null) {
            // its line has the whole answer
            last = chunk;
            return "";
        }
        return line(ServingAnswers.token(chunk));
    }

    /** {@inheritDoc} */
    @Override
    public List<String> end(List<InputAnswer> answers) {
        InputAnswer answer = answers.get(0);
        JsonObject line = ServingAnswers.last(last, answer.adapter(), answer.result());
        told(line.getAsJsonObject("details"));
        return List.of(line(line));
    }

    /** Takes the server's folders out of the reason why another answered. */
    private static JsonObject told(JsonObject who) {
        if (who.has(REASON)) {
            who.addProperty(REASON, Failures.withoutPaths(who.get(REASON).getAsString()));
        }
        return who;
    }

    /** {@inheritDoc} */
    @Override
    public String failure(HttpFailure failure) {
        return line(ServingAnswers.failure(failure.getMessage(), text.toString(), count));
    }

    private static String line(JsonObject line) {
        return line + "\n";
    }
}
