/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads what a body says of the form of the answer: OpenAI's {@code response_format}, or vLLM's
 * {@code guided_json}, {@code guided_regex} and {@code guided_choice}. There may be one of them.
 */
public final class ConstraintFields {

    static final String RESPONSE_FORMAT = "response_format";

    private static final String GUIDED_JSON = "guided_json";
    private static final String GUIDED_REGEX = "guided_regex";
    private static final String GUIDED_CHOICE = "guided_choice";

    /** The fields. */
    public static final List<String> NAMES =
            List.of(RESPONSE_FORMAT, GUIDED_JSON, GUIDED_REGEX, GUIDED_CHOICE);

    private static final String SCHEMA = "schema";
    private static final String JSON_SCHEMA = "json_schema";

    private String place;
    private OutputConstraint constraint;

    /**
     * Takes the fields of an object that are known here.
     *
     * @param object the object; fields of other names are passed over
     * @param prefix what stands before its fields' names in messages
     * @throws LoraConfigurationException naming the field that is wrong, or two that both say it
     */
    public void take(JsonObject object, String prefix) {
        for (String name : NAMES) {
            JsonElement value = object.get(name);
            if (value == null) {
                continue;
            }
            if (place != null) {
                throw new LoraConfigurationException(
                        place
                                + " and "
                                + prefix
                                + name
                                + " both say what the answer looks like; give one");
            }
            place = prefix + name;
            constraint =
                    switch (name) {
                        case GUIDED_JSON -> new OutputConstraint.JsonSchema(schema(value));
                        case GUIDED_REGEX ->
                                new OutputConstraint.Regex(JsonFields.text(value, place));
                        case GUIDED_CHOICE -> new OutputConstraint.Choice(choices(value));
                        default -> format(JsonFields.object(value, place));
                    };
        }
    }

    /**
     * Puts the constraint into the parameters, where one was given.
     *
     * @param builder the parameters
     * @return the same builder
     */
    public SamplingParameters.Builder over(SamplingParameters.Builder builder) {
        return place == null ? builder : builder.constraint(constraint);
    }

    private List<String> choices(JsonElement value) {
        if (!value.isJsonArray()) {
            throw new LoraConfigurationException(
                    place + " is not a list; a list of texts is needed");
        }
        return JsonFields.texts(value, place);
    }

    /** Returns the schema, which vLLM also takes as a text. */
    private String schema(JsonElement value) {
        JsonObject schema =
                JsonFields.isText(value)
                        ? StrictJson.parseObject(value.getAsString(), place)
                        : JsonFields.object(value, place);
        return schema.toString();
    }

    private OutputConstraint format(JsonObject format) {
        String type = JsonFields.text(format.get("type"), place + ".type");
        switch (type) {
            case "text":
                refuseUnknown(format, "type");
                return null;
            case "json_object":
                // with a schema as LoRAX and others have it
                refuseUnknown(format, "type", SCHEMA);
                return format.has(SCHEMA)
                        ? new OutputConstraint.JsonSchema(
                                JsonFields.object(format.get(SCHEMA), place + ".schema").toString())
                        : new OutputConstraint.JsonObject();
            case JSON_SCHEMA:
                refuseUnknown(format, "type", JSON_SCHEMA);
                return named(JsonFields.object(format.get(JSON_SCHEMA), place + ".json_schema"));
            default:
                throw new LoraConfigurationException(
                        place
                                + ".type is "
                                + Message.quote(type)
                                + "; it must be json_object, json_schema or text");
        }
    }

    private OutputConstraint named(JsonObject named) {
        // a name and a description are for models that read the schema, and all here is strict
        Set<String> known = new TreeSet<>(Set.of("name", "description", "strict", SCHEMA));
        JsonFields.refuseUnknown(named, known, place + ".json_schema.");
        JsonObject schema = JsonFields.object(named.get(SCHEMA), place + ".json_schema.schema");
        return new OutputConstraint.JsonSchema(schema.toString());
    }

    private void refuseUnknown(JsonObject format, String... known) {
        JsonFields.refuseUnknown(format, new TreeSet<>(Set.of(known)), place + ".");
    }
}
