/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.AdapterHeaders;
import ai.djl.lora.server.inference.BodyFields;
import ai.djl.lora.server.inference.InferenceService;
import ai.djl.lora.server.inference.InputVector;
import ai.djl.lora.server.inference.Prompt;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletionStage;

/** OpenAI's {@code POST /v1/embeddings}. */
public final class EmbeddingRoutes {

    private final InferenceService service;

    /**
     * Constructs a new {@code EmbeddingRoutes} instance.
     *
     * @param service makes vectors
     */
    public EmbeddingRoutes(InferenceService service) {
        this.service = service;
    }

    /**
     * Returns the routes.
     *
     * @return the routes
     */
    public List<Route> routes() {
        return List.of(Route.json(Method.POST, "/v1/embeddings", Permission.INFER, this::embed));
    }

    private CompletionStage<Response> embed(Request request) {
        BodyFields body = BodyFields.of(request);
        String asked = OpenAiFields.model(body);
        List<Prompt> inputs =
                PromptInputs.read(body, "input")
                        .orElseThrow(
                                () ->
                                        OpenAiFields.missing(
                                                body,
                                                "input",
                                                "a text, a list of texts, token ids or a list of"
                                                        + " lists of them"));
        boolean base64 = isBase64(body);
        int size = service.model().block().getConfig().hiddenSize();
        OptionalInt dimensions = body.whole("dimensions");
        if (dimensions.isPresent() && dimensions.getAsInt() != size) {
            throw body.wrong(
                    "dimensions",
                    "is " + dimensions.getAsInt() + "; the model's vectors have " + size);
        }
        OpenAiFields.ignoreHarmless(body);
        String model = asked == null ? service.model().name() : asked;
        return service.embed(request, body, asked, inputs)
                .thenApply(vectors -> response(model, vectors, base64));
    }

    private static boolean isBase64(BodyFields body) {
        String format = body.text("encoding_format").orElse("float");
        return switch (format) {
            case "float" -> false;
            case "base64" -> true;
            default ->
                    throw body.wrong(
                            "encoding_format", "is \"" + format + "\"; it must be float or base64");
        };
    }

    private static Response response(String model, List<InputVector> vectors, boolean base64) {
        JsonArray data = new JsonArray();
        for (InputVector vector : vectors) {
            JsonObject each = new JsonObject();
            each.addProperty("object", "embedding");
            each.addProperty("index", data.size());
            each.add("embedding", base64 ? packed(vector) : list(vector));
            if (vectors.size() > 1) {
                addAdapter(each, vector);
            }
            data.add(each);
        }
        int tokens = vectors.stream().mapToInt(vector -> vector.result().tokens()).sum();
        JsonObject usage = new JsonObject();
        usage.addProperty("prompt_tokens", tokens);
        usage.addProperty("total_tokens", tokens);
        JsonObject body = new JsonObject();
        body.addProperty("object", "list");
        body.add("data", data);
        body.addProperty("model", model);
        body.add("usage", usage);
        if (vectors.stream().map(InputVector::adapter).distinct().count() == 1) {
            addAdapter(body, vectors.get(0));
        }
        return AdapterHeaders.add(
                Response.json(200, body),
                vectors.stream().map(InputVector::adapter).toList(),
                vectors.stream()
                        .map(
                                vector ->
                                        new AnsweringRevision(
                                                vector.result().revision(),
                                                vector.result().substitution()))
                        .toList());
    }

    private static void addAdapter(JsonObject object, InputVector vector) {
        OpenAiFormat.addAdapter(
                object,
                vector.adapter(),
                vector.result().revision(),
                vector.result().substitution());
    }

    private static JsonElement list(InputVector vector) {
        JsonArray values = new JsonArray(vector.result().vector().length);
        for (float value : vector.result().vector()) {
            values.add(value);
        }
        return values;
    }

    /** Returns the numbers of 32 bits, the lowest byte first, as OpenAI's clients read them. */
    private static JsonElement packed(InputVector vector) {
        float[] values = vector.result().vector();
        ByteBuffer bytes =
                ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return new JsonPrimitive(Base64.getEncoder().encodeToString(bytes.array()));
    }
}
