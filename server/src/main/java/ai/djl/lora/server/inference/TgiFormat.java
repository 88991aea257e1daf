/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.TokenLogProb;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextChunk;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Answers as Text Generation Inference and LoRAX have them: {@code generated_text} with {@code
 * details}, streamed as an event for each token. Beside their fields stand {@code adapter} and
 * {@code revision}, in a stream in its last event.
 */
final class TgiFormat implements AnswerFormat {

    private final ServedModel model;
    private final boolean details;
    private final String before;
    private final long seed;
    private final StringBuilder text = new StringBuilder();
    private InputBegin begin;
    private int count;

    /**
     * Constructs a new {@code TgiFormat} instance.
     *
     * @param model knows what tokens say
     * @param details whether a whole answer has details; the last event of a stream always has
     * @param before what stands before the answer in {@code generated_text}: the prompt or nothing
     * @param seed the seed of the request
     */
    TgiFormat(ServedModel model, boolean details, String before, long seed) {
        this.model = model;
        this.details = details;
        this.before = before;
        this.seed = seed;
    }

    /** {@inheritDoc} */
    @Override
    public JsonElement whole(List<InputAnswer> answers) {
        InputAnswer answer = answers.get(0);
        TextResult result = answer.result();
        JsonObject body = new JsonObject();
        body.addProperty("generated_text", before + result.text());
        if (details) {
            JsonObject written = details(result);
            written.addProperty("seed", seed);
            written.addProperty("input_length", answer.promptTokens());
            if (!result.others().isEmpty()) {
                JsonArray others = new JsonArray();
                for (TextResult each : result.others()) {
                    JsonObject other = details(each);
                    other.addProperty("generated_text", before + each.text());
                    others.add(other);
                }
                written.add("best_of_sequences", others);
            }
            body.add("details", written);
        } else if (!result.others().isEmpty()) {
            JsonArray texts = new JsonArray();
            result.answers().forEach(each -> texts.add(before + each.text()));
            body.add("generated_texts", texts);
        }
        addAdapter(body, answer.adapter(), result.revision(), result.substitution());
        return body;
    }

    private JsonObject details(TextResult result) {
        JsonObject written = new JsonObject();
        int[] ids = result.tokens();
        int last = ids.length == 0 ? -1 : ids[ids.length - 1];
        written.addProperty("finish_reason", reason(result.finishReason(), last));
        written.addProperty("generated_tokens", ids.length);
        written.add("prefill", new JsonArray());
        JsonArray tokens = new JsonArray();
        JsonArray tops = new JsonArray();
        for (Sample sample : result.samples()) {
            tokens.add(token(sample.token(), sample.logProb()));
            tops.add(tops(sample.top()));
        }
        written.add("tokens", tokens);
        if (result.samples().stream().anyMatch(sample -> !sample.top().isEmpty())) {
            written.add("top_tokens", tops);
        }
        return written;
    }

    private JsonArray tops(List<TokenLogProb> likely) {
        JsonArray tops = new JsonArray();
        likely.forEach(each -> tops.add(token(each.token(), each.logProb())));
        return tops;
    }

    private JsonObject token(int id, float logProb) {
        byte[] bytes = model.tokenizer().bytes(id);
        return token(id, new String(bytes, StandardCharsets.UTF_8), logProb);
    }

    private JsonObject token(int id, String written, float logProb) {
        JsonObject token = new JsonObject();
        token.addProperty("id", id);
        token.addProperty("text", written);
        if (Float.isNaN(logProb)) {
            token.add("logprob", JsonNull.INSTANCE);
        } else {
            // JSON has no infinity, which is the log-probability of what a model rules out
            token.addProperty("logprob", Math.max(logProb, -Float.MAX_VALUE));
        }
        token.addProperty("special", model.tokenizer().bytes(id).length == 0);
        return token;
    }

    private String reason(FinishReason reason, int lastToken) {
        if (reason == FinishReason.LENGTH) {
            return "length";
        }
        boolean end = model.block().getConfig().eosTokenIds().contains(lastToken);
        return end ? "eos_token" : "stop_sequence";
    }

    /** {@inheritDoc} */
    @Override
    public String streamType() {
        return "text/event-stream; charset=utf-8";
    }

    /** {@inheritDoc} */
    @Override
    public List<String> begin(List<InputBegin> inputs) {
        begin = inputs.get(0);
        text.append(before);
        return List.of();
    }

    /** {@inheritDoc} */
    @Override
    public String chunk(int input, int choice, TextChunk chunk) {
        text.append(chunk.text());
        ++count;
        JsonObject event = new JsonObject();
        event.addProperty("index", count);
        event.add("token", token(chunk.token(), chunk.text(), chunk.logProb()));
        if (!chunk.top().isEmpty()) {
            event.add("top_tokens", tops(chunk.top()));
        }
        if (chunk.finishReason() == null) {
            event.add("generated_text", JsonNull.INSTANCE);
            event.add("details", JsonNull.INSTANCE);
        } else {
            event.addProperty("generated_text", text.toString());
            JsonObject end = new JsonObject();
            end.addProperty("finish_reason", reason(chunk.finishReason(), chunk.token()));
            end.addProperty("generated_tokens", count);
            end.addProperty("seed", seed);
            end.addProperty("input_length", begin.promptTokens());
            event.add("details", end);
            addAdapter(event, begin.adapter(), begin.who().revision(), begin.who().substitution());
        }
        return event(event);
    }

    /** {@inheritDoc} */
    @Override
    public List<String> end(List<InputAnswer> answers) {
        return List.of();
    }

    /** {@inheritDoc} */
    @Override
    public String failure(HttpFailure failure) {
        return event(new TgiErrors().write(failure));
    }

    private static String event(JsonElement event) {
        return "data:" + event + "\n\n";
    }

    private static void addAdapter(
            JsonObject object,
            String adapter,
            String revision,
            Optional<Substitution> substitution) {
        object.addProperty("adapter", adapter);
        object.addProperty("revision", revision);
        substitution.ifPresent(
                other -> {
                    object.addProperty(
                            "substituted_by", other.by().name().toLowerCase(Locale.ROOT));
                    object.addProperty(
                            "substitution_reason", Failures.withoutPaths(other.reason()));
                });
    }
}
