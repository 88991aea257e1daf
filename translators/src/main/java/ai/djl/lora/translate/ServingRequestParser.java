/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.modality.Input;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.util.Pair;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.Strictness;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads the requests of a serving {@code Input}.
 *
 * <p>A {@code text/plain} body (also one without a content type) is the prompt. An {@code
 * application/json} body is an object with {@code inputs} (or {@code prompt}), a text or a list of
 * texts; {@code adapter} or {@code adapters}, a name or a list with one for each text, "" for the
 * base model; and what {@link SamplingFields} reads. Instead of {@code inputs} it may have {@code
 * messages}, a conversation in OpenAI's form, with {@code tools} and {@code chat_template_kwargs},
 * further variables of the template. {@code stream} asks for one answer while it is written. The
 * Input may name an adapter outside its body too, see {@link AdapterNaming}. A field that is not
 * known is refused.
 */
final class ServingRequestParser {

    private static final Gson STRICT_JSON =
            new GsonBuilder().setStrictness(Strictness.STRICT).create();

    private static final String ADAPTER = "adapter";
    private static final String STREAM = "stream";
    private static final String MESSAGES = "messages";
    private static final String TOOLS = "tools";
    private static final String VARIABLES = "chat_template_kwargs";
    private static final Set<String> FIELDS =
            new TreeSet<>(
                    Set.of(
                            "inputs",
                            "prompt",
                            MESSAGES,
                            TOOLS,
                            VARIABLES,
                            ADAPTER,
                            STREAM,
                            "adapters",
                            ConstraintFields.RESPONSE_FORMAT,
                            SamplingFields.PARAMETERS));

    private final SamplingParameters defaults;
    private final SamplingFields sampling;

    /**
     * Constructs a new {@code ServingRequestParser} instance.
     *
     * @param defaults the sampling parameters that a request does not give
     */
    ServingRequestParser(SamplingParameters defaults) {
        this.defaults = defaults;
        this.sampling = new SamplingFields(defaults);
    }

    /**
     * Reads an input.
     *
     * @param input the input
     * @return its requests
     * @throws LoraConfigurationException naming the field that is wrong
     */
    ServingRequest parse(Input input) {
        return parse(input, AdapterNaming.LITERAL);
    }

    /**
     * Reads an input.
     *
     * @param input the input
     * @param naming knows which names stand for the same adapter
     * @return its requests
     * @throws LoraConfigurationException naming the field that is wrong
     */
    ServingRequest parse(Input input, AdapterNaming naming) {
        String body = body(input);
        String contentType = input.getProperty("Content-Type", "text/plain");
        String mediaType = contentType.split(";", 2)[0].trim().toLowerCase(Locale.ROOT);
        return switch (mediaType) {
            case "text/plain" ->
                    new ServingRequest(
                            List.of(
                                    new TextRequest(
                                            body,
                                            naming.adapters(input, null, 1).get(0),
                                            defaults)),
                            false,
                            false);
            case "application/json" -> parseJson(body, input, naming);
            default ->
                    throw new LoraConfigurationException(
                            "the content type is "
                                    + contentType
                                    + "; it must be application/json or text/plain");
        };
    }

    /** Returns the content of an input. */
    static String body(Input input) {
        BytesSupplier data = input.get("data");
        for (Pair<String, BytesSupplier> content : input.getContent()) {
            if (data == null && !ADAPTER.equals(content.getKey())) {
                data = content.getValue();
            }
        }
        if (data == null) {
            throw new LoraConfigurationException(
                    "the input has no content; a prompt or a JSON object is needed");
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(data.getAsBytes()))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException("the body is not valid UTF-8", e);
        }
    }

    /** Returns the object that a body is. */
    static JsonObject json(String body) {
        JsonElement root;
        try {
            root = STRICT_JSON.fromJson(body, JsonElement.class);
        } catch (JsonParseException e) {
            throw new LoraConfigurationException(
                    "the body is not valid JSON: "
                            + String.valueOf(e.getMessage()).lines().findFirst().orElse(""),
                    e);
        }
        return JsonFields.object(root, "the body");
    }

    private ServingRequest parseJson(String body, Input input, AdapterNaming naming) {
        JsonObject object = json(body);
        JsonFields.refuseUnknown(object, FIELDS, "");
        if (object.has(MESSAGES)) {
            return parseChat(object, input, naming);
        }
        for (String chatField : List.of(TOOLS, VARIABLES)) {
            if (object.has(chatField)) {
                throw new LoraConfigurationException(
                        chatField + " is given without messages; it belongs to a conversation");
            }
        }
        String field = object.has("inputs") ? "inputs" : "prompt";
        if (object.has("inputs") && object.has("prompt")) {
            throw new LoraConfigurationException(
                    "inputs and prompt are both given; they mean the same, give one");
        }
        if (!object.has(field)) {
            throw new LoraConfigurationException("inputs is missing; a text is needed");
        }
        boolean list = object.get(field).isJsonArray();
        List<String> prompts = JsonFields.texts(object.get(field), field);
        List<String> adapters = naming.adapters(input, object, prompts.size());
        SamplingParameters parameters = sampling.read(object);
        List<GenerationInput> requests = new ArrayList<>(prompts.size());
        for (int i = 0; i < prompts.size(); ++i) {
            requests.add(new TextRequest(prompts.get(i), adapters.get(i), parameters));
        }
        boolean stream = stream(object);
        if (stream && list) {
            throw new LoraConfigurationException(
                    "stream is true and "
                            + field
                            + " is a list; a text is needed where the answer is streamed");
        }
        return new ServingRequest(requests, list, stream);
    }

    private ServingRequest parseChat(JsonObject object, Input input, AdapterNaming naming) {
        for (String field : List.of("inputs", "prompt")) {
            if (object.has(field)) {
                throw new LoraConfigurationException(
                        field + " and messages are both given; give one");
            }
        }
        List<ChatMessage> messages = ChatFields.messages(object.get(MESSAGES));
        List<Map<String, Object>> tools =
                object.has(TOOLS) ? ChatFields.tools(object.get(TOOLS)) : List.of();
        Map<String, Object> variables =
                object.has(VARIABLES)
                        ? ChatFields.variables(object.get(VARIABLES), VARIABLES)
                        : Map.of();
        String adapter = naming.adapters(input, object, 1).get(0);
        return new ServingRequest(
                List.of(
                        new ChatRequest(
                                messages, tools, variables, adapter, sampling.read(object))),
                false,
                stream(object));
    }

    private static boolean stream(JsonObject object) {
        if (!object.has(STREAM)) {
            return false;
        }
        JsonElement value = object.get(STREAM);
        if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isBoolean()) {
            throw new LoraConfigurationException(
                    STREAM + " is " + value + "; true or false is needed");
        }
        return value.getAsBoolean();
    }
}
