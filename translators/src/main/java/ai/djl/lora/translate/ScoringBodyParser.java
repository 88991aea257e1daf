/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import ai.djl.modality.Input;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads the texts of a serving {@code Input} that are scored.
 *
 * <p>A {@code text/plain} body is a text. An {@code application/json} body is an object with {@code
 * inputs}, an item or a list of items, and {@code adapter} or {@code adapters}, as for generation.
 * An item is a text; or an object with {@code context} and {@code continuation}, of which the
 * latter is scored; or one with {@code tokens}, token ids, and {@code from}, the first that is
 * scored (1 where it is left out).
 */
final class ScoringBodyParser {

    private static final Set<String> FIELDS =
            new TreeSet<>(Set.of("inputs", "adapter", "adapters"));
    private static final Set<String> PAIR = new TreeSet<>(Set.of("context", "continuation"));
    private static final Set<String> TOKENS = new TreeSet<>(Set.of("tokens", "from"));

    private final ScoringEncoder encoder;

    /**
     * Constructs a new {@code ScoringBodyParser} instance.
     *
     * @param encoder turns texts into tokens
     */
    ScoringBodyParser(ScoringEncoder encoder) {
        this.encoder = encoder;
    }

    /**
     * Reads an input.
     *
     * @param input the input
     * @param naming knows which names stand for the same adapter
     * @return its texts
     * @throws LoraConfigurationException naming the field that is wrong
     */
    ReadingBody<ScoringResult> parse(Input input, AdapterNaming naming) {
        ServingBody body = ServingBody.read(input);
        if (body.json().isEmpty()) {
            String adapter = naming.adapters(input, null, 1).get(0);
            return new ReadingBody<>(
                    List.of(encoder.encode(0, new ScoringInput(body.text(), adapter))), false);
        }
        JsonObject object = body.json().get();
        JsonFields.refuseUnknown(object, FIELDS, "");
        JsonElement inputs = object.get("inputs");
        if (inputs == null) {
            throw new LoraConfigurationException("inputs is missing; a text is needed");
        }
        boolean list = inputs.isJsonArray();
        List<JsonElement> items = list ? inputs.getAsJsonArray().asList() : List.of(inputs);
        if (items.isEmpty()) {
            throw new LoraConfigurationException("inputs is an empty list; a text is needed");
        }
        List<String> adapters = naming.adapters(input, object, items.size());
        List<ReadRequest<ScoringResult>> requests = new ArrayList<>();
        for (JsonElement item : items) {
            requests.add(request(requests.size(), item, adapters.get(requests.size())));
        }
        return new ReadingBody<>(requests, list);
    }

    private ScoringRequest request(int index, JsonElement item, String adapter) {
        try {
            if (JsonFields.isText(item)) {
                return encoder.encode(index, new ScoringInput(item.getAsString(), adapter));
            }
            if (!item.isJsonObject()) {
                throw new LoraConfigurationException(
                        "it is neither a text nor an object; one of them is needed");
            }
            JsonObject object = item.getAsJsonObject();
            if (object.has("tokens")) {
                JsonFields.refuseUnknown(object, TOKENS, "");
                int from = object.has("from") ? whole(object.get("from"), "from") : 1;
                return new ScoringRequest(tokens(object.get("tokens")), from, adapter);
            }
            JsonFields.refuseUnknown(object, PAIR, "");
            return encoder.encode(
                    index,
                    new ScoringInput(
                            text(object, "context"), text(object, "continuation"), adapter));
        } catch (GenerationRequestException e) {
            throw e;
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }

    private static String text(JsonObject object, String field) {
        JsonElement value = object.get(field);
        if (value == null || !JsonFields.isText(value)) {
            throw new LoraConfigurationException(
                    field + " is " + value + "; a text is needed, or tokens in place of both");
        }
        return value.getAsString();
    }

    private static int[] tokens(JsonElement value) {
        if (!value.isJsonArray()) {
            throw new LoraConfigurationException("tokens is no list; one of token ids is needed");
        }
        JsonArray list = value.getAsJsonArray();
        int[] tokens = new int[list.size()];
        for (int i = 0; i < tokens.length; ++i) {
            tokens[i] = whole(list.get(i), "tokens[" + i + "]");
        }
        return tokens;
    }

    private static int whole(JsonElement value, String field) {
        boolean number = value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber();
        try {
            if (number) {
                return value.getAsBigDecimal().intValueExact();
            }
        } catch (ArithmeticException | NumberFormatException e) {
            throw new LoraConfigurationException(
                    field + " is " + value + "; a whole number of 32 bits is needed", e);
        }
        throw new LoraConfigurationException(
                field + " is " + value + "; a whole number of 32 bits is needed");
    }

    /** Writes an answer. A number that JSON cannot tell is null. */
    static JsonObject json(ScoringResult result) {
        JsonObject answer = new JsonObject();
        answer.add("log_likelihood", number(result.logLikelihood()));
        answer.addProperty("is_greedy", result.isGreedy());
        answer.add("perplexity", number(result.perplexity()));
        JsonArray tokens = new JsonArray();
        JsonArray logProbs = new JsonArray();
        JsonArray greedy = new JsonArray();
        for (int i = 0; i < result.tokens().length; ++i) {
            tokens.add(result.tokens()[i]);
            logProbs.add(number(result.logProbs()[i]));
            greedy.add(result.greedy()[i]);
        }
        answer.add("tokens", tokens);
        answer.add("token_log_probs", logProbs);
        answer.add("token_is_greedy", greedy);
        AnswerJson.addAdapter(answer, result.adapter(), result.revision(), result.substitution());
        return answer;
    }

    private static JsonElement number(double value) {
        return Double.isFinite(value) ? new JsonPrimitive(value) : JsonNull.INSTANCE;
    }
}
