/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.TokenLogProb;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Locale;

/** Writes as JSON how an answer ended and how likely it is, for serving and the command line. */
public final class AnswerDetails {

    private AnswerDetails() {}

    /**
     * Adds {@code finish_reason} and, where they are known, {@code cumulative_logprob} and {@code
     * logprobs}: for each token its id, its log-probability and {@code top_logprobs}.
     *
     * @param object the object to add them to
     * @param result the answer
     */
    public static void add(JsonObject object, TextResult result) {
        object.addProperty("finish_reason", result.finishReason().name().toLowerCase(Locale.ROOT));
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
