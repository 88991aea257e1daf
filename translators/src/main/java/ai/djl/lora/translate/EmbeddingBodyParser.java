/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.modality.Input;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads the texts of a serving {@code Input} of which vectors are made.
 *
 * <p>A {@code text/plain} body is a text. An {@code application/json} body is an object with {@code
 * inputs}, a text or a list of texts, and {@code adapter} or {@code adapters}, as for generation.
 */
final class EmbeddingBodyParser {

    private static final Set<String> FIELDS =
            new TreeSet<>(Set.of("inputs", "adapter", "adapters"));

    private final EmbeddingEncoder encoder;

    /**
     * Constructs a new {@code EmbeddingBodyParser} instance.
     *
     * @param encoder turns texts into tokens
     */
    EmbeddingBodyParser(EmbeddingEncoder encoder) {
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
    ReadingBody<EmbeddingResult> parse(Input input, AdapterNaming naming) {
        ServingBody body = ServingBody.read(input);
        if (body.json().isEmpty()) {
            String adapter = naming.adapters(input, null, 1).get(0);
            return new ReadingBody<>(
                    List.of(encoder.encode(0, new EmbeddingInput(body.text(), adapter))), false);
        }
        JsonObject object = body.json().get();
        JsonFields.refuseUnknown(object, FIELDS, "");
        JsonElement inputs = object.get("inputs");
        if (inputs == null) {
            throw new LoraConfigurationException("inputs is missing; a text is needed");
        }
        List<String> texts = JsonFields.texts(inputs, "inputs");
        List<String> adapters = naming.adapters(input, object, texts.size());
        List<ReadRequest<EmbeddingResult>> requests = new ArrayList<>();
        for (int i = 0; i < texts.size(); ++i) {
            requests.add(encoder.encode(i, new EmbeddingInput(texts.get(i), adapters.get(i))));
        }
        return new ReadingBody<>(requests, inputs.isJsonArray());
    }

    /** Writes an answer. */
    static JsonObject json(EmbeddingResult result) {
        JsonArray vector = new JsonArray(result.vector().length);
        for (float value : result.vector()) {
            vector.add(value);
        }
        JsonObject answer = new JsonObject();
        answer.add("embedding", vector);
        answer.addProperty("tokens", result.tokens());
        AnswerJson.addAdapter(answer, result.adapter(), result.revision(), result.substitution());
        return answer;
    }
}
