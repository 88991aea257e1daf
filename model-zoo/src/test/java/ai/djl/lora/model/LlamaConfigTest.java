/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What is read from config.json and generation_config.json, and what is refused. */
public class LlamaConfigTest {

    private static final String MINIMAL =
            "{\"model_type\":\"llama\",\"vocab_size\":100,\"hidden_size\":64,"
                    + "\"intermediate_size\":112,\"num_hidden_layers\":3,"
                    + "\"num_attention_heads\":4,\"max_position_embeddings\":128}";

    private Path folder;

    @BeforeMethod
    public void makeFolder() throws IOException {
        folder = Files.createTempDirectory("djl-lora-config");
    }

    @AfterMethod
    public void deleteFolder() throws IOException {
        TestModels.delete(folder);
    }

    /** Reads the minimal configuration with some fields replaced, or taken away with "-". */
    private LlamaConfig read(String... namesAndValues) throws IOException {
        JsonObject config = JsonParser.parseString(MINIMAL).getAsJsonObject();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            if ("-".equals(namesAndValues[i + 1])) {
                config.remove(namesAndValues[i]);
            } else {
                config.add(namesAndValues[i], JsonParser.parseString(namesAndValues[i + 1]));
            }
        }
        // with nulls, which toString keeps
        Files.writeString(folder.resolve("config.json"), config.toString());
        return LlamaConfig.read(folder);
    }

    @Test
    public void defaultsAreThoseOfTransformers() throws IOException {
        LlamaConfig config = read();
        assertEquals(config.numKeyValueHeads(), 4);
        assertEquals(config.headDim(), 16);
        assertEquals(config.rmsNormEps(), 1e-6);
        assertEquals(config.ropeTheta(), 10000.0);
        assertEquals(config.ropeScaling(), new RopeScaling.Unscaled());
        assertFalse(config.tieWordEmbeddings());
        assertFalse(config.queryKeyValueBias());
        assertFalse(config.outputBias());
        assertFalse(config.mlpBias());
        assertFalse(config.queryKeyNorm());
        assertEquals(config.slidingWindows(), List.of(0, 0, 0));
        assertEquals(config.storedType(), Optional.empty());
        assertEquals(config.bosTokenId(), OptionalInt.of(1));
        assertEquals(config.eosTokenIds(), Set.of(2));
    }

    @Test
    public void eachTypeHasItsOwnDefaults() throws IOException {
        LlamaConfig qwen2 = read("model_type", "\"qwen2\"", "num_key_value_heads", "2");
        assertTrue(qwen2.queryKeyValueBias());
        assertFalse(qwen2.outputBias());
        assertEquals(qwen2.bosTokenId(), OptionalInt.empty());
        assertEquals(qwen2.eosTokenIds(), Set.of());
        LlamaConfig qwen3 = read("model_type", "\"qwen3\"", "num_key_value_heads", "2");
        assertTrue(qwen3.queryKeyNorm());
        assertFalse(qwen3.queryKeyValueBias());
        assertEquals(qwen3.headDim(), 128);
        LlamaConfig mistral = read("model_type", "\"mistral\"", "num_key_value_heads", "2");
        assertEquals(mistral.slidingWindows(), List.of(4096, 4096, 4096));
    }

    @Test
    public void fieldsAreRead() throws IOException {
        LlamaConfig config =
                read(
                        "attention_bias", "true",
                        "mlp_bias", "true",
                        "tie_word_embeddings", "true",
                        "num_key_value_heads", "1",
                        "head_dim", "24",
                        "torch_dtype", "\"bfloat16\"",
                        "bos_token_id", "null",
                        "eos_token_id", "[5, 6]");
        assertTrue(config.queryKeyValueBias());
        assertTrue(config.outputBias());
        assertTrue(config.mlpBias());
        assertTrue(config.tieWordEmbeddings());
        assertEquals(config.numKeyValueHeads(), 1);
        assertEquals(config.headDim(), 24);
        assertEquals(config.storedType(), Optional.of(ElementType.BFLOAT16));
        assertEquals(config.bosTokenId(), OptionalInt.empty());
        assertEquals(config.eosTokenIds(), Set.of(5, 6));
        assertEquals(read("eos_token_id", "null").eosTokenIds(), Set.of());
        assertEquals(
                read("dtype", "\"float16\"", "torch_dtype", "\"float32\"").storedType(),
                Optional.of(ElementType.FLOAT16));
    }

    @Test
    public void generationConfigWins() throws IOException {
        Path file = folder.resolve("generation_config.json");
        Files.writeString(file, "{\"eos_token_id\": [7, 8]}");
        assertEquals(read("eos_token_id", "5").eosTokenIds(), Set.of(7, 8));
        Files.writeString(file, "{\"eos_token_id\": 9}");
        assertEquals(read("eos_token_id", "5").eosTokenIds(), Set.of(9));
        Files.writeString(file, "{}");
        assertEquals(read("eos_token_id", "5").eosTokenIds(), Set.of(5));
        Files.writeString(file, "{\"eos_token_id\": 100}");
        LoraConfigurationException e = expectThrows(LoraConfigurationException.class, this::read);
        assertEquals(
                e.getMessage(),
                file
                        + ": field \"eos_token_id\" is 100; expected token ids below vocab_size,"
                        + " which is 100");
    }

    @Test
    public void slidingWindowsFollowTheType() throws IOException {
        String qwen = "\"qwen2\"";
        assertEquals(
                read("model_type", "\"mistral\"", "num_key_value_heads", "2", "sliding_window", "8")
                        .slidingWindows(),
                List.of(8, 8, 8));
        assertEquals(
                read(
                                "model_type", "\"mistral\"",
                                "num_key_value_heads", "2",
                                "sliding_window", "null")
                        .slidingWindows(),
                List.of(0, 0, 0));
        assertEquals(
                read(
                                "model_type", qwen,
                                "num_key_value_heads", "2",
                                "sliding_window", "8",
                                "max_window_layers", "1")
                        .slidingWindows(),
                List.of(0, 0, 0),
                "use_sliding_window is false by default");
        assertEquals(
                read(
                                "model_type", qwen,
                                "num_key_value_heads", "2",
                                "use_sliding_window", "true",
                                "sliding_window", "8",
                                "max_window_layers", "1")
                        .slidingWindows(),
                List.of(0, 8, 8));
        assertEquals(
                read(
                                "model_type",
                                qwen,
                                "num_key_value_heads",
                                "2",
                                "use_sliding_window",
                                "true",
                                "sliding_window",
                                "8",
                                "layer_types",
                                "[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]")
                        .slidingWindows(),
                List.of(8, 0, 8));
    }

    @Test
    public void ropeParametersOfBothFormsAreRead() throws IOException {
        String llama3 =
                "\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,"
                        + "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":32}";
        RopeScaling expected = new RopeScaling.Llama3(8, 1, 4, 32);
        assertEquals(read("rope_scaling", "{" + llama3).ropeScaling(), expected);
        LlamaConfig newer = read("rope_parameters", "{\"rope_theta\":500000.0," + llama3);
        assertEquals(newer.ropeScaling(), expected);
        assertEquals(newer.ropeTheta(), 500000.0);
        assertEquals(
                read("rope_scaling", "{\"type\":\"linear\",\"factor\":4}").ropeScaling(),
                new RopeScaling.Linear(4));
        assertEquals(
                read("rope_scaling", "{\"rope_type\":\"default\"}").ropeScaling(),
                new RopeScaling.Unscaled());
        assertEquals(
                read("rope_parameters", "{\"rope_theta\":7}").ropeScaling(),
                new RopeScaling.Unscaled());
    }

    @DataProvider
    public Object[][] refused() {
        return new Object[][] {
            {"model_type", "\"gpt2\"", "expected one of llama, mistral, qwen2, qwen3"},
            {"model_type", "7", "is 7; expected a string"},
            {"model_type", "-", "is missing; expected a string"},
            {"vocab_size", "0", "is 0; expected an integer from 1 to 16777216"},
            {"vocab_size", "1.5", "is 1.5; expected an integer"},
            {"vocab_size", "\"100\"", "is \"100\"; expected an integer"},
            {"vocab_size", "99999999999", "expected an integer from 1 to 16777216"},
            {"hidden_size", "-", "is missing; expected an integer"},
            {"hidden_size", "65", "expected an even multiple of num_attention_heads, which is 4"},
            {"hidden_size", "12", "expected an even multiple of num_attention_heads"},
            {"intermediate_size", "-3", "is -3; expected an integer"},
            {"num_hidden_layers", "20000", "is 20000; expected at most 10000"},
            {"num_attention_heads", "null", "is null; expected an integer"},
            {"max_position_embeddings", "[]", "is []; expected an integer"},
            {"num_key_value_heads", "3", "a divisor of num_attention_heads, which is 4"},
            {"head_dim", "15", "is 15; expected an even number"},
            {"head_dim", "16777216", "num_attention_heads\" is 4194304; expected at most"},
            {"rms_norm_eps", "0", "is 0; expected a number greater than 0.0"},
            {"rms_norm_eps", "\"1e-6\"", "expected a number greater than 0.0"},
            {"rope_theta", "-1", "is -1; expected a number greater than 0.0"},
            {"rope_theta", "1e999", "expected a number greater than 0.0"},
            {"hidden_act", "\"gelu\"", "\"silu\", the only activation that is supported"},
            {"partial_rotary_factor", "0.5", "rotating a part is not supported"},
            {"quantization_config", "{\"bits\":4}", "quantized checkpoints are not supported"},
            {"attention_bias", "1", "is 1; expected true or false"},
            {"tie_word_embeddings", "\"yes\"", "expected true or false"},
            {"sliding_window", "4", "expected null for model type llama"},
            {"dtype", "\"int8\"", "expected one of float32, float16, bfloat16"},
            {"bos_token_id", "100", "expected token ids below vocab_size, which is 100"},
            {"eos_token_id", "[2, \"3\"]", "expected an integer from 0 to"},
            {"rope_scaling", "3", "is 3; expected an object"},
            {"rope_scaling", "{}", "\"rope_scaling.rope_type\" is missing; expected a string"},
            {"rope_scaling", "{\"rope_type\":\"yarn\"}", "one of default, linear, llama3"},
            {"rope_scaling", "{\"type\":\"dynamic\"}", "\"rope_scaling.type\" is \"dynamic\""},
            {"rope_scaling", "{\"rope_type\":\"longrope\"}", "is \"longrope\""},
            {"rope_scaling", "{\"rope_type\":\"linear\"}", "rope_scaling.factor\" is missing"},
            {"rope_parameters", "{\"full_attention\":{}}", "one set of parameters for all layers"},
        };
    }

    @Test(dataProvider = "refused")
    public void wrongFieldsAreRefusedByName(String name, String value, String message) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                read(
                                        "num_attention_heads",
                                        value.length() > 7 && "head_dim".equals(name)
                                                ? "4194304"
                                                : "4",
                                        name,
                                        value));
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(
                e.getMessage().startsWith(folder.resolve("config.json") + ": field \""),
                e.getMessage());
        assertEquals(e.getMessage().lines().count(), 1);
    }

    @DataProvider
    public Object[][] refusedTogether() {
        return new Object[][] {
            {"mistral", "attention_bias", "true", "false for model type mistral"},
            {"qwen2", "mlp_bias", "true", "false for model type qwen2"},
            {"mistral", "layer_types", "[\"full_attention\"]", "no such field"},
            {"mistral", "num_key_value_heads", "-", "is missing; expected an integer"},
            {"qwen2", "layer_types", "[\"full_attention\"]", "3 entries, one for each layer"},
            {
                "qwen3",
                "layer_types",
                "[\"full_attention\",\"full_attention\",\"sliding_attention\"]",
                "full_attention alone, since sliding_window is not in use"
            },
            {"qwen3", "layer_types", "[1,2,3]", "a list of strings"},
        };
    }

    @Test(dataProvider = "refusedTogether")
    public void fieldsThatTheTypeDoesNotTakeAreRefused(
            String type, String name, String value, String message) {
        LoraConfigurationException e =
                expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                read(
                                        "model_type",
                                        '"' + type + '"',
                                        "num_key_value_heads",
                                        "2",
                                        name,
                                        value));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    public void contradictingRopeFieldsAreRefused() {
        LoraConfigurationException both =
                expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                read(
                                        "rope_scaling", "{\"rope_type\":\"default\"}",
                                        "rope_parameters", "{\"rope_type\":\"default\"}"));
        assertTrue(both.getMessage().contains("rope_parameters is there too"), both.getMessage());
        LoraConfigurationException theta =
                expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                read(
                                        "rope_theta", "10000.0",
                                        "rope_parameters", "{\"rope_theta\":5}"));
        assertTrue(theta.getMessage().contains("\"rope_parameters.rope_theta\" is 5; expected"));
        LoraConfigurationException factors =
                expectThrows(
                        LoraConfigurationException.class,
                        () ->
                                read(
                                        "rope_scaling",
                                        "{\"rope_type\":\"llama3\",\"factor\":8,"
                                                + "\"low_freq_factor\":4,\"high_freq_factor\":4,"
                                                + "\"original_max_position_embeddings\":32}"));
        assertTrue(factors.getMessage().contains("more than low_freq_factor, which is 4.0"));
    }

    @Test
    public void brokenFilesAreRefused() throws IOException {
        LoraConfigurationException missing =
                expectThrows(LoraConfigurationException.class, () -> LlamaConfig.read(folder));
        assertEquals(
                missing.getMessage(),
                folder.resolve("config.json")
                        + ": no such file; expected the folder of a Hugging Face model");
        Files.writeString(folder.resolve("config.json"), "{\"model_type\":");
        assertTrue(
                expectThrows(LoraConfigurationException.class, () -> LlamaConfig.read(folder))
                        .getMessage()
                        .startsWith(folder.resolve("config.json") + ": "));
    }
}
