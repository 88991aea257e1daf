/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Reads the fields of a request's body, and names the one that is not what it must be. */
final class JsonFields {

    private JsonFields() {}

    static JsonObject object(JsonElement element, String name) {
        if (element == null || !element.isJsonObject()) {
            throw new LoraConfigurationException(name + " is not a JSON object; one is needed");
        }
        return element.getAsJsonObject();
    }

    static void refuseUnknown(JsonObject object, Set<String> known, String prefix) {
        for (String field : object.keySet()) {
            if (!known.contains(field)) {
                throw new LoraConfigurationException(
                        "the field " + prefix + field + " is not known; known are " + known);
            }
        }
    }

    static String text(JsonElement element, String field) {
        if (element == null || !isText(element)) {
            throw new LoraConfigurationException(field + " is not a text; one is needed");
        }
        return element.getAsString();
    }

    /** Returns a text, or the texts of a list that is not empty. */
    static List<String> texts(JsonElement element, String field) {
        if (isText(element)) {
            return List.of(element.getAsString());
        }
        List<String> texts = new ArrayList<>();
        if (element.isJsonArray()) {
            for (JsonElement each : element.getAsJsonArray()) {
                if (!isText(each)) {
                    throw new LoraConfigurationException(
                            field
                                    + "["
                                    + texts.size()
                                    + "] is not a text; a list of texts is needed");
                }
                texts.add(each.getAsString());
            }
        }
        if (texts.isEmpty()) {
            throw new LoraConfigurationException(
                    field + " is neither a text nor a list of texts; one of them is needed");
        }
        return texts;
    }

    static boolean isText(JsonElement element) {
        return element.isJsonPrimitive() && element.getAsJsonPrimitive().isString();
    }

    static boolean isNumber(JsonElement element) {
        return element.isJsonPrimitive() && element.getAsJsonPrimitive().isNumber();
    }
}
