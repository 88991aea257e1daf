/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.TempDirectory;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class PeftConfigTest {

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private PeftConfig read() throws IOException {
        directory.write();
        return PeftConfig.read(directory.path());
    }

    @Test
    public void readsTheFieldsThatCount() throws IOException {
        directory
                .with("use_rslora", "true")
                .with("fan_in_fan_out", "true")
                .with("base_model_name_or_path", "\"meta/llama\"")
                .with("task_type", "\"CAUSAL_LM\"");
        PeftConfig config = read();
        assertEquals(config.file(), directory.path().resolve("adapter_config.json"));
        assertEquals(config.rank(), 3);
        assertEquals(config.alpha(), 6.0);
        assertTrue(config.rslora());
        assertTrue(config.fanInFanOut());
        assertEquals(config.baseModel(), Optional.of("meta/llama"));
        assertEquals(config.taskType(), Optional.of("CAUSAL_LM"));
        assertEquals(config.warnings(), List.of());
        assertEquals(config.scaleOf(AdapterDirectory.Q), (float) (6 / Math.sqrt(3)));
    }

    /** Cases on which PEFT itself was asked; tools/fixtures/make_peft_modules.py. */
    @DataProvider
    public Object[][] peftCases() throws IOException {
        JsonObject golden =
                JsonParser.parseString(
                                Files.readString(Path.of("src/test/resources/peft-modules.json")))
                        .getAsJsonObject();
        int layers = golden.get("layers").getAsInt();
        List<Object[]> cases = new ArrayList<>();
        for (JsonElement each : golden.getAsJsonArray("cases")) {
            JsonObject item = each.getAsJsonObject();
            cases.add(
                    new Object[] {
                        item.get("name").getAsString(),
                        item.getAsJsonObject("config"),
                        item.getAsJsonObject("modules"),
                        layers
                    });
        }
        return cases.toArray(Object[][]::new);
    }

    @Test(dataProvider = "peftCases")
    public void agreesWithPeft(String name, JsonObject fields, JsonObject modules, int layers)
            throws IOException {
        fields.asMap().forEach((field, value) -> directory.with(field, value.toString()));
        PeftConfig config = read();
        int adapted = 0;
        for (String module : llamaModules(layers)) {
            JsonElement expected = modules.get(module);
            assertEquals(config.targets(module), expected != null, module);
            if (expected != null) {
                JsonObject values = expected.getAsJsonObject();
                assertEquals(config.rankOf(module), values.get("rank").getAsInt(), module);
                // PEFT keeps a double, which PyTorch narrows when it multiplies float32
                assertEquals(
                        config.scaleOf(module), (float) values.get("scale").getAsDouble(), module);
                adapted++;
            }
        }
        assertEquals(adapted, modules.size());
        assertTrue(adapted > 0);
    }

    private static List<String> llamaModules(int layers) {
        List<String> modules = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            for (String name : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
                modules.add("model.layers." + i + ".self_attn." + name);
            }
            for (String name : List.of("gate_proj", "up_proj", "down_proj")) {
                modules.add("model.layers." + i + ".mlp." + name);
            }
        }
        modules.add("lm_head");
        return modules;
    }

    @DataProvider
    public Object[][] variants() {
        return new Object[][] {
            {
                "peft_type",
                "\"IA3\"",
                ": adapters of type \"IA3\" are not supported, supported is LORA"
            },
            {
                "peft_type",
                "\"lora\"",
                ": adapters of type \"lora\" are not supported, supported is LORA"
            },
            {"use_dora", "true", " = \"true\" is not supported (DoRA)"},
            {"use_qalora", "true", " = \"true\" is not supported (QALoRA)"},
            {"lora_bias", "true", " = \"true\" is not supported (a bias of B)"},
            {
                "bias",
                "\"all\"",
                " = \"\"all\"\" is not supported (trained biases; supported is \"none\")"
            },
            {
                "bias",
                "\"lora_only\"",
                " = \"\"lora_only\"\" is not supported (trained biases; supported is \"none\")"
            },
            {
                "modules_to_save",
                "[\"lm_head\"]",
                " = \"[\"lm_head\"]\" is not supported (whole layers beside the adapter)"
            },
            {
                "trainable_token_indices",
                "[1]",
                " = \"[1]\" is not supported (trained embeddings of tokens)"
            },
            {
                "target_parameters",
                "[\"experts.up\"]",
                " = \"[\"experts.up\"]\" is not supported (adapters of parameters that are no"
                        + " linear layer)"
            },
            {
                "layer_replication",
                "[[0, 4], [2, 5]]",
                " = \"[[0,4],[2,5]]\" is not supported (repeated layers)"
            },
            {"alora_invocation_tokens", "[]", " = \"[]\" is not supported (activated LoRA)"},
            {
                "arrow_config",
                "{\"top_k\": 3}",
                " = \"{\"top_k\":3}\" is not supported (Arrow routing)"
            },
            {
                "megatron_config",
                "{\"a\": 1}",
                " = \"{\"a\":1}\" is not supported (layers of Megatron)"
            },
            {
                "ensure_weight_tying",
                "true",
                " = \"true\" is not supported (adapters of tied weights)"
            },
            {
                "enable_lora",
                "[true, false, true]",
                " = \"[true,false,true]\" is not supported (adapters of parts of a merged layer)"
            },
            {"init_lora_weights", "\"pissa\"", initialisation("pissa")},
            {"init_lora_weights", "\"pissa_niter_4\"", initialisation("pissa_niter_4")},
            {"init_lora_weights", "\"olora\"", initialisation("olora")},
            {"init_lora_weights", "\"corda\"", initialisation("corda")},
            {"init_lora_weights", "\"loftq\"", initialisation("loftq")},
            {"use_something_new", "true", " = \"true\" is not supported (an unknown variant)"},
        };
    }

    private static String initialisation(String method) {
        return " = \"\""
                + method
                + "\"\" is not supported (an initialisation that changes the base weights;"
                + " supported are true, false, \"gaussian\", \"eva\" and \"orthogonal\", or the"
                + " adapter converted to plain LoRA)";
    }

    @Test(dataProvider = "variants")
    public void refusesAVariant(String field, String value, String message) {
        directory.with(field, value);
        assertEquals(
                failure(LoraVariantException.class),
                directory.path().resolve(PeftConfig.FILE_NAME)
                        + ": field \""
                        + field
                        + '"'
                        + message);
    }

    private <T extends LoraException> String failure(Class<T> type) {
        String message = expectThrows(type, this::read).getMessage();
        assertFalse(message.contains("\n"), message);
        return message;
    }

    @DataProvider
    public Object[][] wrong() {
        String texts = "must be a string or a list of strings, found ";
        return new Object[][] {
            {"peft_type", null, "\"peft_type\" is missing, expected \"LORA\""},
            {"peft_type", "3", "\"peft_type\" must be a string, found 3"},
            {"r", null, "\"r\" is missing, expected a positive integer"},
            {"r", "null", "\"r\" is missing, expected a positive integer"},
            {"r", "0", "\"r\" must be a positive integer, found 0"},
            {"r", "-4", "\"r\" must be a positive integer, found -4"},
            {"r", "8.0", "\"r\" must be a positive integer, found 8.0"},
            {"r", "\"8\"", "\"r\" must be a positive integer, found \"8\""},
            {"r", "true", "\"r\" must be a positive integer, found true"},
            {"r", "99999999999", "\"r\" must be a positive integer, found 99999999999"},
            {"r", "[8]", "\"r\" must be a positive integer, found [8]"},
            {"lora_alpha", null, "\"lora_alpha\" is missing, expected a number"},
            {"lora_alpha", "\"16\"", "\"lora_alpha\" must be a finite number, found \"16\""},
            {"lora_alpha", "1e999", "\"lora_alpha\" must be a finite number, found 1e999"},
            {"lora_alpha", "0", "\"lora_alpha\" must be a number other than 0, found 0"},
            {"use_rslora", "1", "\"use_rslora\" must be true or false, found 1"},
            {"use_rslora", "\"true\"", "\"use_rslora\" must be true or false, found \"true\""},
            {"fan_in_fan_out", "[]", "\"fan_in_fan_out\" must be true or false, found []"},
            {"inference_mode", "\"no\"", "\"inference_mode\" must be true or false, found \"no\""},
            {"lora_dropout", "\"x\"", "\"lora_dropout\" must be a finite number, found \"x\""},
            {"bias", "false", "\"bias\" must be a string, found false"},
            {"init_lora_weights", "7", "\"init_lora_weights\" must be a string, found 7"},
            {"rank_pattern", "[]", "\"rank_pattern\" must be an object, found []"},
            {
                "rank_pattern",
                "{\"q_proj\": 2.5}",
                "\"rank_pattern.q_proj\" must be a positive integer, found 2.5"
            },
            {
                "alpha_pattern",
                "{\"q_proj\": \"8\"}",
                "\"alpha_pattern.q_proj\" must be a finite number, found \"8\""
            },
            {
                "rank_pattern",
                "{\"q_(proj\": 2}",
                "\"rank_pattern\": the expression \"q_(proj\" is no regular expression: Unclosed"
                        + " group"
            },
            {"target_modules", "4", "\"target_modules\" must be a string, found 4"},
            {"target_modules", "{}", "\"target_modules\" must be a string, found {}"},
            {"target_modules", "[1]", "\"target_modules\" " + texts + "1"},
            {
                "target_modules",
                "\"*\"",
                "\"target_modules\": the expression \"*\" is no regular expression: Dangling meta"
                        + " character '*'"
            },
            {
                "target_modules",
                '"' + "x".repeat(4097) + '"',
                "\"target_modules\": the expression \""
                        + "x".repeat(120)
                        + "... (4097 characters)\" has 4097 characters, allowed are 4096"
            },
            {"exclude_modules", "true", "\"exclude_modules\" " + texts + "true"},
            {"exclude_modules", "[null]", "\"exclude_modules\" " + texts + "null"},
            {
                "layers_to_transform",
                "[\"1\"]",
                "\"layers_to_transform\" must be an integer from 0 on, found \"1\""
            },
            {
                "layers_to_transform",
                "-1",
                "\"layers_to_transform\" must be an integer from 0 on, found -1"
            },
            {
                "layers_pattern",
                "\"h\"",
                "\"layers_pattern\" must be absent where layers_to_transform names no layer"
            },
            {
                "base_model_name_or_path",
                "1",
                "\"base_model_name_or_path\" must be a string, found 1"
            },
            {"task_type", "{}", "\"task_type\" must be a string, found {}"},
        };
    }

    @Test(dataProvider = "wrong")
    public void refusesAField(String field, String value, String message) {
        directory.with(field, value);
        assertEquals(
                failure(LoraConfigurationException.class),
                directory.path().resolve(PeftConfig.FILE_NAME) + ": field " + message);
    }

    @Test
    public void refusesLayersBesideAnExpression() {
        directory.with("target_modules", "\".*q_proj\"").with("layers_to_transform", "[1]");
        assertEquals(
                failure(LoraConfigurationException.class),
                directory.path()
                        + "/adapter_config.json: field \"layers_to_transform\" must be absent where"
                        + " target_modules is a string");
    }

    @Test
    public void refusesAScaleThatFloatsCannotHold() throws IOException {
        for (String alpha : List.of("1e300", "1e-300")) {
            directory.with("lora_alpha", alpha);
            PeftConfig config = read();
            String message =
                    expectThrows(LoraConfigurationException.class, () -> config.scaleOf("q_proj"))
                            .getMessage();
            assertTrue(message.contains("the scale of module \"q_proj\" is "), message);
            assertTrue(message.endsWith(", which float32 cannot hold"), message);
        }
    }

    /** Without a bound the first of these takes longer than the universe has. */
    @Test(timeOut = 20_000)
    public void boundsExpressionsThatDoNotEnd() throws IOException {
        directory.with("target_modules", "\"(.*_?)*(.*_?)*(.*_?)*x\"");
        PeftConfig config = read();
        String message =
                expectThrows(
                                LoraConfigurationException.class,
                                () -> config.targets(AdapterDirectory.Q.repeat(4)))
                        .getMessage();
        assertTrue(message.contains("takes too long to match \"model.layers.0"), message);
    }

    @Test
    public void leavesWhatMattersInTrainingAlone() throws IOException {
        directory
                .with("init_lora_weights", "\"eva\"")
                .with("eva_config", "{\"rho\": 2.0}")
                .with("corda_config", "{\"corda_method\": \"kpm\"}")
                .with("loftq_config", "{\"loftq_bits\": 4}")
                .with("runtime_config", "{\"ephemeral_gpu_offload\": true}")
                .with("auto_mapping", "{\"base_model_class\": \"X\"}")
                .with("lora_dropout", "0.05")
                .with("inference_mode", "false")
                .with("peft_version", "\"0.18.0\"")
                .with("megatron_core", "\"megatron.core\"")
                .with("qalora_group_size", "16")
                .with("merge_weights", "true")
                .with("revision", "\"main\"")
                .with("use_dora", "null")
                .with("bias", "null");
        assertEquals(read().warnings(), List.of());
    }

    @Test
    public void warnsOfWhatItDoesNotKnow() throws IOException {
        directory
                .with("task_type", "\"SEQ_CLS\"")
                .with("target_modules", "null")
                .with("new_a", "null")
                .with("new_b", "false")
                .with("new_c", "[]")
                .with("new_d", "{}")
                .with("new_e", "\"\"")
                .with("new_f", "0.5")
                .with("use_new_g", "null");
        assertEquals(
                read().warnings(),
                List.of(
                        "target_modules is absent: what ought to be adapted is not known",
                        "task_type is \"SEQ_CLS\", not CAUSAL_LM",
                        "the field \"new_f\" is not known and was not followed"));
    }

    @Test
    public void refusesAMissingFile() throws IOException {
        try (TempDirectory empty = new TempDirectory()) {
            LoraConfigurationException e =
                    expectThrows(
                            LoraConfigurationException.class, () -> PeftConfig.read(empty.path()));
            assertEquals(
                    e.getMessage(), empty.path() + "/adapter_config.json: there is no such file");
        }
    }
}
