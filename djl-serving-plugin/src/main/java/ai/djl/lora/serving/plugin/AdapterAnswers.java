/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.lora.serving.LoraAdapter;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.wlm.ModelInfo;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads what the translator says of adapters. */
final class AdapterAnswers {

    private AdapterAnswers() {}

    /** Returns the object that an answer is. */
    static JsonObject object(Output output) {
        return JsonParser.parseString(output.getData().getAsString()).getAsJsonObject();
    }

    /** Returns the adapters that an answer lists. */
    static List<JsonObject> list(Output output) {
        List<JsonObject> adapters = new ArrayList<>();
        for (JsonElement adapter : object(output).getAsJsonArray("adapters")) {
            adapters.add(adapter.getAsJsonObject());
        }
        return adapters;
    }

    /** Returns the adapter that an answer describes. */
    static LoraAdapter adapter(ModelInfo<Input, Output> model, Output output) {
        return adapter(model, object(output));
    }

    /** Returns a described adapter in the server's form. */
    static LoraAdapter adapter(ModelInfo<Input, Output> model, JsonObject described) {
        JsonArray aliases = described.getAsJsonArray("aliases");
        return new LoraAdapter(
                model,
                described.get("name").getAsString(),
                aliases.isEmpty() ? null : aliases.get(0).getAsString(),
                described.get("src").getAsString(),
                Map.of(
                        "preload",
                        described.get("preload").getAsString(),
                        "pin",
                        described.get("pin").getAsString()));
    }
}
