/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.workflow;

import ai.djl.modality.Input;
import ai.djl.ndarray.BytesSupplier;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What rules look at in a request. What cannot be read is left to the model to refuse. */
final class RouteRequest {

    /** The content by which the server and the translators know the adapter of a request. */
    static final String ADAPTER = "adapter";

    private static final String DATA = "data";
    private static final List<String> HEADERS =
            List.of(
                    ADAPTER,
                    "X-Amzn-SageMaker-Adapter-Identifier",
                    "X-Amzn-SageMaker-Adapter-Alias");
    private static final List<String> FIELDS = List.of(ADAPTER, "adapters");

    private final Input input;
    private final String body;
    private final JsonObject json;

    /**
     * Constructs a new {@code RouteRequest} instance.
     *
     * @param input the request
     */
    RouteRequest(Input input) {
        this.input = input;
        BytesSupplier data = input.getData();
        body = data == null ? "" : new String(data.getAsBytes(), StandardCharsets.UTF_8);
        String type = input.getProperty("Content-Type", "text/plain").toLowerCase(Locale.ROOT);
        json = type.startsWith("application/json") ? parse(body) : null;
    }

    private static JsonObject parse(String body) {
        try {
            JsonElement element = JsonParser.parseString(body);
            return element.isJsonObject() ? element.getAsJsonObject() : new JsonObject();
        } catch (JsonParseException e) {
            return new JsonObject();
        }
    }

    /** Returns whether the request says itself which adapter it wants. */
    boolean namesAdapter() {
        return input.getContent().contains(ADAPTER)
                || HEADERS.stream().anyMatch(header -> header(header).isPresent())
                || json != null && FIELDS.stream().anyMatch(json::has);
    }

    Optional<String> header(String name) {
        return Optional.ofNullable(input.getProperty(name, null));
    }

    /** Returns a field of the body as text; {@code a.b} is the field b of the field a. */
    Optional<String> field(String path) {
        JsonElement value = json;
        for (String name : path.split("\\.")) {
            if (value == null || !value.isJsonObject()) {
                return Optional.empty();
            }
            value = value.getAsJsonObject().get(name);
        }
        return value != null && value.isJsonPrimitive()
                ? Optional.of(value.getAsString())
                : Optional.empty();
    }

    /** Returns whether all of the request's texts begin with something. */
    boolean startsWith(String prefix) {
        List<String> texts = texts();
        return !texts.isEmpty() && texts.stream().allMatch(text -> text.startsWith(prefix));
    }

    private List<String> texts() {
        if (json == null) {
            return List.of(body);
        }
        List<String> texts = new ArrayList<>();
        for (String field : List.of("inputs", "prompt")) {
            collect(json.get(field), texts);
        }
        if (json.get("messages") instanceof JsonArray messages
                && !messages.isEmpty()
                && messages.get(messages.size() - 1) instanceof JsonObject last) {
            collect(last.get("content"), texts);
        }
        return texts;
    }

    private static void collect(JsonElement value, List<String> texts) {
        if (value instanceof JsonArray list) {
            list.forEach(each -> collect(each, texts));
        } else if (value != null && value.isJsonPrimitive()) {
            texts.add(value.getAsString());
        }
    }

    /** Takes fields out of the body that the model does not know. */
    void strip(List<String> fields) {
        if (json == null || fields.stream().noneMatch(json::has)) {
            return;
        }
        fields.forEach(json::remove);
        BytesSupplier stripped = BytesSupplier.wrap(json.toString());
        int index = Math.max(0, input.getContent().indexOf(DATA));
        String key = input.getContent().keyAt(index);
        input.getContent().remove(index);
        input.getContent().add(index, key, stripped);
    }

    /** Names the adapter that is to answer; "" for the base model. */
    void name(String adapter) {
        if (input.getContent().contains(ADAPTER)) {
            input.getContent().remove(ADAPTER);
        }
        if (!adapter.isEmpty()) {
            input.add(ADAPTER, adapter);
        }
    }
}
