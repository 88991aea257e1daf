/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The models of the golden files, as adapters see them. */
public final class GoldenModels {

    /** The golden files of PEFT's variants. */
    public static final Path VARIANTS = Path.of("../src/test/resources/goldens/variants");

    private GoldenModels() {}

    /** Returns the layout of a model in Hugging Face's format. */
    public static ModelLayout layout(Path model) throws IOException {
        JsonObject config =
                JsonParser.parseString(Files.readString(model.resolve("config.json")))
                        .getAsJsonObject();
        List<LoraModule> linears = new ArrayList<>();
        Map<String, Integer> norms = new LinkedHashMap<>();
        String output = "lm_head";
        try (SafetensorsFolder folder = SafetensorsFolder.open(model)) {
            for (String tensor : folder.names()) {
                TensorInfo info = folder.tensor(tensor);
                String name = tensor.replaceAll("\\.weight$", "");
                if (name.endsWith("norm")) {
                    norms.put(name, (int) info.shape()[0]);
                } else if (info.shape().length == 2 && !name.endsWith("embed_tokens")) {
                    linears.add(
                            new LoraModule(
                                    linears.size(),
                                    name,
                                    (int) info.shape()[1],
                                    (int) info.shape()[0]));
                }
            }
        }
        int hidden = config.get("hidden_size").getAsInt();
        int vocabulary = config.get("vocab_size").getAsInt();
        int heads = config.get("num_attention_heads").getAsInt();
        boolean tied = config.get("tie_word_embeddings").getAsBoolean();
        if (linears.stream().noneMatch(linear -> linear.name().equals(output))) {
            linears.add(new LoraModule(linears.size(), output, hidden, vocabulary));
        }
        return new ModelLayout(
                linears,
                norms,
                Optional.of(
                        new ModelLayout.Embedding(
                                "model.embed_tokens",
                                vocabulary,
                                hidden,
                                tied ? Optional.of(output) : Optional.empty())),
                Optional.of(
                        new ModelLayout.Attention(
                                config.get("num_hidden_layers").getAsInt(),
                                config.get("num_key_value_heads").getAsInt(),
                                config.has("head_dim") && !config.get("head_dim").isJsonNull()
                                        ? config.get("head_dim").getAsInt()
                                        : hidden / heads)));
    }
}
