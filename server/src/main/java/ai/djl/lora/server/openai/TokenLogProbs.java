/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.TokenLogProb;
import ai.djl.lora.translate.TextTokenizer;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Writes log-probabilities in the two forms that OpenAI has. A token is shown as the text that it
 * writes behind other text; bytes that are no character alone are shown as U+FFFD, and the form for
 * conversations has the bytes themselves. Special tokens write nothing.
 *
 * @param tokenizer knows the tokens
 */
record TokenLogProbs(TextTokenizer tokenizer) {

    /** Returns the form for conversations: {@code content}, with an object for each token. */
    JsonObject chat(List<Sample> samples) {
        JsonArray content = new JsonArray();
        for (Sample sample : samples) {
            JsonObject token = token(sample.token(), sample.logProb());
            JsonArray top = new JsonArray();
            for (TokenLogProb each : sample.top()) {
                top.add(token(each.token(), each.logProb()));
            }
            token.add("top_logprobs", top);
            content.add(token);
        }
        JsonObject logProbs = new JsonObject();
        logProbs.add("content", content);
        return logProbs;
    }

    private JsonObject token(int id, float logProb) {
        byte[] bytes = tokenizer.bytes(id);
        JsonObject token = new JsonObject();
        token.addProperty("token", text(bytes));
        token.addProperty("logprob", finite(logProb));
        JsonArray values = new JsonArray();
        for (byte each : bytes) {
            values.add(each & 0xff);
        }
        token.add("bytes", values);
        return token;
    }

    /**
     * Returns the form for completions: lists with a place for each token.
     *
     * @param samples the tokens
     * @param offset how much text stands before them
     */
    JsonObject completion(List<Sample> samples, int offset) {
        JsonArray tokens = new JsonArray();
        JsonArray logProbs = new JsonArray();
        JsonArray tops = new JsonArray();
        JsonArray offsets = new JsonArray();
        int at = offset;
        for (Sample sample : samples) {
            String text = text(tokenizer.bytes(sample.token()));
            tokens.add(text);
            logProbs.add(finite(sample.logProb()));
            JsonObject top = new JsonObject();
            for (TokenLogProb each : sample.top()) {
                // two tokens may write the same; the likelier comes first
                String other = text(tokenizer.bytes(each.token()));
                if (!top.has(other)) {
                    top.addProperty(other, finite(each.logProb()));
                }
            }
            if (!top.has(text)) {
                top.addProperty(text, finite(sample.logProb()));
            }
            tops.add(top);
            offsets.add(at);
            at += text.length();
        }
        JsonObject all = new JsonObject();
        all.add("tokens", tokens);
        all.add("token_logprobs", logProbs);
        all.add("top_logprobs", tops);
        all.add("text_offset", offsets);
        return all;
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** JSON has no infinity, which is the log-probability of what a model rules out. */
    private static double finite(float logProb) {
        return Math.max(logProb, -Float.MAX_VALUE);
    }
}
