/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.TokenLogProb;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Locale;

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
        object.addProperty("finish_reason", result.finishReason().name().toLowerCase(Locale.ROOT));
        object.addProperty("generated_tokens", result.tokens().length);
        if (!Double.isNaN(result.logProb())) {
            object.addProperty("cumulative_logprob", finite(result.logProb()));
        }
        if (!result.samples().isEmpty()) {
            JsonArray tokens = new JsonArray();
            for (Sample sample : result.samples()) {
                JsonObject token = token(sample.token(), sample.logProb());
                JsonArray top = new JsonArray();
                for (TokenLogProb each : sample.top()) {
                    top.add(token(each.token(), each.logProb()));
                }
                token.add("top_logprobs", top);
                tokens.add(token);
            }
            object.add("logprobs", tokens);
        }
    }

    private static JsonObject token(int id, float logProb) {
        JsonObject token = new JsonObject();
        token.addProperty("token_id", id);
        token.addProperty("logprob", finite(logProb));
        return token;
    }

    /** JSON has no infinity, which is the log-probability of what a model rules out. */
    private static double finite(double logProb) {
        return Math.max(logProb, -Float.MAX_VALUE);
    }
}
