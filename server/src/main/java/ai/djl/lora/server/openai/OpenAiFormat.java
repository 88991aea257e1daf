/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.AnswerFormat;
import ai.djl.lora.server.inference.InputAnswer;
import ai.djl.lora.server.inference.InputBegin;
import ai.djl.lora.translate.TextChunk;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What OpenAI's answers have in common: an object with {@code choices} and {@code usage}, streamed
 * as server-sent events. Beside OpenAI's own fields each object has {@code adapter} and {@code
 * revision}, and {@code substituted_by} and {@code substitution_reason} where another answered in
 * the adapter's place; where several inputs have different adapters, each choice has them.
 */
abstract class OpenAiFormat implements AnswerFormat {

    private static final String DONE = "data: [DONE]\n\n";

    private final String id;
    private final String model;
    private final int n;
    private final boolean usage;
    private final long created = Instant.now().getEpochSecond();
    private List<InputBegin> begins = List.of();

    /**
     * Constructs a new {@code OpenAiFormat} instance.
     *
     * @param id names the answer
     * @param model the model as it was asked for
     * @param n the answers to each input
     * @param usage whether a stream ends with how many tokens there were
     */
    OpenAiFormat(String id, String model, int n, boolean usage) {
        this.id = id;
        this.model = model;
        this.n = n;
        this.usage = usage;
    }

    /** Returns what kind of object the whole is. */
    abstract String kind();

    /** Returns what kind of object a piece is. */
    abstract String pieceKind();

    /** Adds the text of a choice, and its log-probabilities. */
    abstract void addWhole(JsonObject choice, TextResult answer);

    /** Adds the text of a piece, and its log-probabilities. */
    abstract void addPiece(JsonObject choice, TextChunk chunk, List<Sample> samples);

    /** Adds what stands at the beginning of a choice; false where nothing does. */
    abstract boolean addBegin(JsonObject choice);

    /** Returns whether log-probabilities were asked for. */
    abstract boolean hasLogProbs();

    /** {@inheritDoc} */
    @Override
    public JsonElement whole(List<InputAnswer> answers) {
        JsonArray choices = new JsonArray();
        for (InputAnswer each : answers) {
            for (TextResult answer : each.result().answers()) {
                JsonObject choice = choice(choices.size());
                addWhole(choice, answer);
                choice.addProperty("finish_reason", reason(answer.finishReason()));
                if (answers.size() > 1) {
                    addAdapter(choice, each.adapter(), answer.revision(), answer.substitution());
                }
                choices.add(choice);
            }
        }
        JsonObject body = object(kind(), choices);
        body.add("usage", usage(answers));
        if (answers.stream().map(InputAnswer::adapter).distinct().count() == 1) {
            InputAnswer first = answers.get(0);
            addAdapter(
                    body,
                    first.adapter(),
                    first.result().revision(),
                    first.result().substitution());
        }
        return body;
    }

    /** {@inheritDoc} */
    @Override
    public String streamType() {
        return "text/event-stream; charset=utf-8";
    }

    /** {@inheritDoc} */
    @Override
    public List<String> begin(List<InputBegin> inputs) {
        begins = List.copyOf(inputs);
        List<String> pieces = new ArrayList<>();
        for (int input = 0; input < inputs.size(); ++input) {
            for (int i = 0; i < n; ++i) {
                JsonObject choice = choice(input * n + i);
                if (addBegin(choice)) {
                    choice.add("finish_reason", JsonNull.INSTANCE);
                    pieces.add(piece(input, choice));
                }
            }
        }
        return pieces;
    }

    /** {@inheritDoc} */
    @Override
    public String chunk(int input, int index, TextChunk chunk) {
        if (chunk.text().isEmpty() && chunk.finishReason() == null && !hasLogProbs()) {
            return "";
        }
        JsonObject choice = choice(input * n + index);
        List<Sample> samples =
                hasLogProbs()
                        ? List.of(new Sample(chunk.token(), chunk.logProb(), chunk.top()))
                        : List.of();
        addPiece(choice, chunk, samples);
        if (chunk.finishReason() == null) {
            choice.add("finish_reason", JsonNull.INSTANCE);
        } else {
            choice.addProperty("finish_reason", reason(chunk.finishReason()));
        }
        return piece(input, choice);
    }

    /** {@inheritDoc} */
    @Override
    public List<String> end(List<InputAnswer> answers) {
        if (!usage) {
            return List.of(DONE);
        }
        JsonObject body = object(pieceKind(), new JsonArray());
        body.add("usage", usage(answers));
        return List.of(event(body), DONE);
    }

    /** {@inheritDoc} */
    @Override
    public String failure(HttpFailure failure) {
        return event(Route.DEFAULT_ERRORS.write(failure));
    }

    private String piece(int input, JsonObject choice) {
        JsonArray choices = new JsonArray();
        choices.add(choice);
        JsonObject body = object(pieceKind(), choices);
        if (usage) {
            body.add("usage", JsonNull.INSTANCE);
        }
        InputBegin begin = begins.get(input);
        addAdapter(body, begin.adapter(), begin.who().revision(), begin.who().substitution());
        return event(body);
    }

    private static String event(JsonElement body) {
        return "data: " + body + "\n\n";
    }

    private JsonObject object(String kind, JsonArray choices) {
        JsonObject body = new JsonObject();
        body.addProperty("id", id);
        body.addProperty("object", kind);
        body.addProperty("created", created);
        body.addProperty("model", model);
        body.add("choices", choices);
        return body;
    }

    private static JsonObject choice(int index) {
        JsonObject choice = new JsonObject();
        choice.addProperty("index", index);
        return choice;
    }

    private static JsonObject usage(List<InputAnswer> answers) {
        int prompt = answers.stream().mapToInt(InputAnswer::promptTokens).sum();
        int completion = answers.stream().mapToInt(InputAnswer::newTokens).sum();
        JsonObject usage = new JsonObject();
        usage.addProperty("prompt_tokens", prompt);
        usage.addProperty("completion_tokens", completion);
        usage.addProperty("total_tokens", prompt + completion);
        return usage;
    }

    /** Says who answered. */
    static void addAdapter(
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

    private static String reason(FinishReason reason) {
        return reason.name().toLowerCase(Locale.ROOT);
    }
}
