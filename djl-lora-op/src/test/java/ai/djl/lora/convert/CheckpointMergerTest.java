/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/**
 * Merged weights against numbers worked out by hand. That whole models then answer as PEFT does is
 * for the end-to-end tests.
 */
public class CheckpointMergerTest {

    private static final String CONFIG =
            "{\"tie_word_embeddings\": false, \"rms_norm_eps\": 1e-05, \"torch_dtype\": \"float32\"}";
    private static final String LORA =
            "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2,\"target_modules\":[\"w\"]}";

    /** Two layers of two inputs and two outputs, an embedding of three tokens. */
    private static final List<LoraModule> LINEARS =
            List.of(
                    new LoraModule(0, "m.w", 2, 2),
                    new LoraModule(1, "m.v", 2, 2),
                    new LoraModule(2, "head", 2, 3));

    private final Map<String, HostTensor> weights = new LinkedHashMap<>();
    private TempDirectory base;
    private TempDirectory scratch;
    private AdapterDirectory adapter;

    @BeforeMethod
    public void writeBase() throws IOException {
        base = new TempDirectory();
        scratch = new TempDirectory();
        adapter = new AdapterDirectory();
        weights.clear();
        weights.put("m.w.weight", HostTensor.of(new float[] {1, 2, 3, 4}, 2, 2));
        weights.put("m.w.bias", HostTensor.of(new float[] {10, 20}, 2));
        weights.put("m.v.weight", HostTensor.of(new float[] {5, 6, 7, 8}, 2, 2));
        weights.put("embed.weight", HostTensor.of(new float[] {1, 1, 2, 2, 3, 3}, 3, 2));
        weights.put("norm.weight", HostTensor.of(new float[] {1, 1}, 2));
        base.write("config.json", CONFIG);
        base.write("tokenizer.json", "{\"tokens\": 3}");
        base.write("training_args.bin", "pickle");
    }

    @AfterMethod(alwaysRun = true)
    public void deleteAll() throws IOException {
        base.close();
        scratch.close();
        adapter.close();
    }

    private static ModelLayout layout(boolean tied) {
        return new ModelLayout(
                LINEARS,
                Map.of("norm", 2),
                Optional.of(
                        new ModelLayout.Embedding(
                                "embed", 3, 2, tied ? Optional.of("head") : Optional.empty())),
                Optional.of(new ModelLayout.Attention(1, 1, 2)));
    }

    private Path target() {
        return scratch.path().resolve("merged");
    }

    private List<String> merge(boolean tied, Optional<ElementType> type) throws IOException {
        if (!tied) {
            weights.putIfAbsent("head.weight", HostTensor.of(new float[] {4, 4, 5, 5, 6, 6}, 3, 2));
        }
        if (!Files.exists(base.path().resolve("model.safetensors.index.json"))) {
            SafetensorsWriter.write(base.path().resolve("model.safetensors"), weights);
        }
        ModelLayout layout = layout(tied);
        LoraAdapter loaded = adapter.load(layout, LoadingPolicy.STRICT);
        Map<String, String> biasFields = Map.of("m.v", "v_bias", "head", "v_bias");
        return new CheckpointMerger(base.path(), layout, biasFields)
                .merge(loaded, target(), type, false);
    }

    private float[] merged(String name) {
        try (SafetensorsFolder folder = SafetensorsFolder.open(target())) {
            TensorInfo tensor = folder.tensor(name);
            return new HostTensor(
                            tensor.type().elementType().orElseThrow(),
                            tensor.shape(),
                            folder.read(name))
                    .toFloats();
        }
    }

    private JsonObject config() throws IOException {
        return JsonParser.parseString(Files.readString(target().resolve("config.json")))
                .getAsJsonObject();
    }

    private void put(String name, float[] values, long... shape) {
        adapter.tensors.put(name, HostTensor.of(values, shape));
    }

    private void putProduct() {
        adapter.begin(LORA);
        put("m.w.lora_A.weight", new float[] {1, -1}, 1, 2);
        put("m.w.lora_B.weight", new float[] {3, 0.5f}, 2, 1);
    }

    @Test
    public void productIsAdded() throws IOException {
        putProduct();
        assertEquals(merge(false, Optional.empty()), List.of("training_args.bin"));
        // W + 2 * B A: 2 * 3 * (1, -1) and 2 * 0.5 * (1, -1)
        assertEquals(merged("m.w.weight"), new float[] {7, -4, 4, 3});
        assertEquals(merged("m.w.bias"), new float[] {10, 20});
        assertEquals(merged("m.v.weight"), new float[] {5, 6, 7, 8});
        assertEquals(Files.readString(target().resolve("config.json")), CONFIG);
        assertEquals(Files.readString(target().resolve("tokenizer.json")), "{\"tokens\": 3}");
        assertFalse(Files.exists(target().resolve("training_args.bin")));
        assertFalse(Files.exists(target().resolve("model.safetensors.index.json")));
    }

    @Test
    public void magnitudesStandOverTheNormOfTheSum() throws IOException {
        putProduct();
        adapter.with("use_dora", "true");
        put("m.w.lora_magnitude_vector", new float[] {13, 10}, 2);
        weights.put("m.w.weight", HostTensor.of(new float[] {6, 18, 5, 1}, 2, 2));
        merge(false, Optional.empty());
        // the sums are (12, 12) and (6, 0), their norms 12 * sqrt(2) and 6
        float first = (float) (13 / Math.sqrt(2));
        assertEquals(merged("m.w.weight"), new float[] {first, first, 10, 0});
        assertEquals(merged("m.w.bias"), new float[] {10, 20});
    }

    @Test
    public void factorsOfOutputsScaleTheBiasAndThoseOfInputsDoNot() throws IOException {
        adapter.begin(
                "{\"peft_type\":\"IA3\",\"target_modules\":[\"w\",\"v\"],"
                        + "\"feedforward_modules\":[\"v\"]}");
        put("m.w.ia3_l", new float[] {2, 3}, 2, 1);
        put("m.v.ia3_l", new float[] {10, 100}, 1, 2);
        merge(false, Optional.empty());
        assertEquals(merged("m.w.weight"), new float[] {2, 4, 9, 12});
        assertEquals(merged("m.w.bias"), new float[] {20, 60});
        assertEquals(merged("m.v.weight"), new float[] {50, 600, 70, 800});
    }

    @Test
    public void aBiasThatTheArchitectureCanHaveIsSwitchedOn() throws IOException {
        adapter.begin(LORA).with("target_modules", "[\"v\"]").with("lora_bias", "true");
        put("m.v.lora_A.weight", new float[] {0, 0}, 1, 2);
        put("m.v.lora_B.weight", new float[] {0, 0}, 2, 1);
        put("m.v.lora_B.bias", new float[] {0.5f, -1}, 2);
        merge(false, Optional.empty());
        assertEquals(merged("m.v.bias"), new float[] {1, -2});
        assertEquals(merged("head.bias"), new float[] {0, 0, 0});
        assertTrue(config().get("v_bias").getAsBoolean());
    }

    @Test
    public void aBiasThatTheArchitectureCannotHaveIsRefused() throws IOException {
        putProduct();
        adapter.with("lora_bias", "true");
        put("m.w.lora_B.bias", new float[] {1, 1}, 2);
        weights.remove("m.w.bias");
        LoraVariantException e =
                expectThrows(LoraVariantException.class, () -> merge(false, Optional.empty()));
        assertTrue(e.getMessage().contains("gives module \"m.w\" a bias"), e.getMessage());
        assertNothingIsLeft();
    }

    @Test
    public void tiedWeightsPartWhereTheEmbeddingAloneChanges() throws IOException {
        adapter.begin(LORA).with("target_modules", "[\"embed\"]");
        put("embed.lora_embedding_A", new float[] {1, 0, 2}, 1, 3);
        put("embed.lora_embedding_B", new float[] {1, 10}, 2, 1);
        merge(true, Optional.empty());
        assertEquals(merged("embed.weight"), new float[] {3, 21, 2, 2, 7, 43});
        assertEquals(merged("head.weight"), new float[] {1, 1, 2, 2, 3, 3});
        assertFalse(config().get("tie_word_embeddings").getAsBoolean());
    }

    @Test
    public void tiedWeightsStayTiedWhereBothChangeAlike() throws IOException {
        adapter.begin(
                "{\"peft_type\":\"TRAINABLE_TOKENS\",\"target_modules\":[\"embed\"],"
                        + "\"token_indices\":[2,0]}");
        put("embed.trainable_tokens_delta", new float[] {8, 9, -1, -2}, 2, 2);
        // a copy that transformers does not read
        weights.put("head.weight", HostTensor.of(new float[6], 3, 2));
        merge(true, Optional.empty());
        assertEquals(merged("embed.weight"), new float[] {-1, -2, 2, 2, 8, 9});
        try (SafetensorsFolder folder = SafetensorsFolder.open(target())) {
            assertFalse(folder.names().contains("head.weight"));
        }
        assertEquals(Files.readString(target().resolve("config.json")), CONFIG);
    }

    @Test
    public void replacedModulesTakeThePlaceOfTheBases() throws IOException {
        putProduct();
        adapter.with("modules_to_save", "[\"norm\", \"head\"]");
        put("norm.weight", new float[] {0.5f, 0.25f}, 2);
        put("head.weight", new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
        merge(false, Optional.empty());
        assertEquals(merged("norm.weight"), new float[] {0.5f, 0.25f});
        assertEquals(merged("head.weight"), new float[] {1, 2, 3, 4, 5, 6});
    }

    @Test
    public void sumsAreRoundedOnce() throws IOException {
        weights.replaceAll(
                (name, tensor) ->
                        SafetensorsWriter.tensor(
                                ElementType.BFLOAT16,
                                tensor.shape()[0],
                                tensor.shape().length > 1 ? tensor.shape()[1] : 1,
                                tensor.toFloats()));
        weights.put("m.w.bias", HostTensor.of(new float[] {10, 20}, 2));
        weights.put("norm.weight", HostTensor.of(new float[] {1, 1}, 2));
        adapter.begin(LORA);
        // 1 + 2 * 3 / 1024 lies above the middle of the bfloat16 neighbours 1 and 1 + 1 / 128
        put("m.w.lora_A.weight", new float[] {3f / 1024, 0}, 1, 2);
        put("m.w.lora_B.weight", new float[] {1, 0}, 2, 1);
        merge(false, Optional.empty());
        assertEquals(merged("m.w.weight"), new float[] {1 + 1f / 128, 2, 3, 4});
        assertEquals(typeOf("m.w.weight"), "BF16");
        assertEquals(typeOf("norm.weight"), "F32");
    }

    @Test
    public void theTypeCanBeChosen() throws IOException {
        putProduct();
        merge(false, Optional.of(ElementType.FLOAT16));
        assertEquals(merged("m.w.weight"), new float[] {7, -4, 4, 3});
        for (String name : List.of("m.w.weight", "m.v.weight", "m.w.bias", "norm.weight")) {
            assertEquals(typeOf(name), "F16", name);
        }
        assertEquals(config().get("torch_dtype").getAsString(), "float16");
        assertEquals(config().get("rms_norm_eps").getAsString(), "1e-05");
    }

    @Test
    public void whatTheTypeCannotHoldIsRefused() throws IOException {
        putProduct();
        put("m.w.lora_B.weight", new float[] {0, 40_000}, 2, 1);
        LoraCompatibilityException e =
                expectThrows(
                        LoraCompatibilityException.class,
                        () -> merge(false, Optional.of(ElementType.FLOAT16)));
        assertEquals(
                e.getMessage(),
                "Tensor \"m.w.weight\" would hold 80003.0, which float16 cannot hold");
        assertNothingIsLeft();
    }

    @Test
    public void shardsStayShards() throws IOException {
        putProduct();
        Map<String, HostTensor> second = new LinkedHashMap<>();
        second.put("head.weight", HostTensor.of(new float[] {4, 4, 5, 5, 6, 6}, 3, 2));
        second.put("m.v.weight", weights.remove("m.v.weight"));
        String one = "model-00001-of-00002.safetensors";
        String two = "model-00002-of-00002.safetensors";
        SafetensorsWriter.write(base.path().resolve(one), weights);
        SafetensorsWriter.write(base.path().resolve(two), second);
        JsonObject map = new JsonObject();
        weights.keySet().forEach(name -> map.addProperty(name, one));
        second.keySet().forEach(name -> map.addProperty(name, two));
        base.write("model.safetensors.index.json", "{\"weight_map\": " + map + "}");
        merge(false, Optional.empty());
        assertTrue(Files.exists(target().resolve(one)));
        assertEquals(merged("m.w.weight"), new float[] {7, -4, 4, 3});
        assertEquals(merged("m.v.weight"), new float[] {5, 6, 7, 8});
        JsonObject index =
                JsonParser.parseString(
                                Files.readString(target().resolve("model.safetensors.index.json")))
                        .getAsJsonObject();
        // 4 + 2 + 4 + 6 + 2 + 6 floats
        assertEquals(index.getAsJsonObject("metadata").get("total_size").getAsInt(), 96);
        assertEquals(index.getAsJsonObject("weight_map"), map);
    }

    @Test
    public void virtualTokensAreRefused() throws IOException {
        adapter.begin("{\"peft_type\":\"PROMPT_TUNING\",\"num_virtual_tokens\":1}");
        put("prompt_embeddings", new float[] {1, 2}, 1, 2);
        LoraVariantException e =
                expectThrows(LoraVariantException.class, () -> merge(false, Optional.empty()));
        assertTrue(
                e.getMessage()
                        .endsWith(
                                "the adapter has virtual tokens (prompt tuning or P-tuning), which"
                                        + " cannot be merged into weights"),
                e.getMessage());
        assertNothingIsLeft();
    }

    @Test
    public void whatIsThereStays() throws IOException {
        putProduct();
        merge(false, Optional.empty());
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class, () -> merge(false, Optional.empty()));
        assertTrue(e.getMessage().contains("is there already"), e.getMessage());
    }

    private String typeOf(String name) {
        try (SafetensorsFolder folder = SafetensorsFolder.open(target())) {
            return folder.tensor(name).type().name();
        }
    }

    private void assertNothingIsLeft() throws IOException {
        try (Stream<Path> files = Files.list(scratch.path())) {
            assertEquals(files.toList(), List.of());
        }
    }
}
