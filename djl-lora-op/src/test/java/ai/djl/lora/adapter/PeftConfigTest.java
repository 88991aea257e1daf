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
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatLimits;
import java.io.IOException;
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
        try (AdapterFiles files = AdapterFiles.open(directory.path(), FormatLimits.DEFAULTS)) {
            return PeftConfig.read(files, VariantRegistry.discover());
        }
    }

    private List<String> warnings() throws IOException {
        return read().issues().stream().map(Issue::message).toList();
    }

    @Test
    public void readsTheFieldsThatCount() throws IOException {
        directory
                .with("use_rslora", "true")
                .with("fan_in_fan_out", "true")
                .with("base_model_name_or_path", "\"meta/llama\"")
                .with("task_type", "\"CAUSAL_LM\"");
        PeftConfig config = read();
        assertEquals(config.peftType(), "LORA");
        assertEquals(config.baseModel(), Optional.of("meta/llama"));
        assertEquals(config.taskType(), Optional.of("CAUSAL_LM"));
        assertEquals(config.issues(), List.of());
        assertTrue(config.targets().contains(AdapterDirectory.Q));
    }

    @DataProvider
    public Object[][] variants() {
        String types =
                " are not supported, supported are ADALORA, IA3, LOHA, LOKR, LORA, PREFIX_TUNING,"
                        + " PROMPT_TUNING, P_TUNING, TRAINABLE_TOKENS, VERA";
        return new Object[][] {
            {"peft_type", "\"BOFT\"", ": adapters of type \"BOFT\"" + types},
            {"peft_type", "\"lora\"", ": adapters of type \"lora\"" + types},
            {"use_qalora", "true", " = \"true\" is not supported (QALoRA)"},
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
            {
                "alora_invocation_tokens",
                "[]",
                " = \"[]\" is not supported (activated LoRA without a token)"
            },
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
            {
                "peft_type",
                null,
                "\"peft_type\" is missing, expected one of ADALORA, IA3, LOHA, LOKR, LORA,"
                        + " PREFIX_TUNING, PROMPT_TUNING, P_TUNING, TRAINABLE_TOKENS, VERA"
            },
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
            {
                "bias",
                "\"most\"",
                "\"bias\" must be \"none\", \"all\" or \"lora_only\", found \"most\""
            },
            {"use_dora", "1", "\"use_dora\" must be true or false, found 1"},
            {"lora_bias", "\"\"", "\"lora_bias\" must be true or false, found \"\""},
            {
                "modules_to_save",
                "\"lm_head\"",
                "\"modules_to_save\" must be a list of strings, found \"lm_head\""
            },
            {"modules_to_save", "[3]", "\"modules_to_save\" must be a list of strings, found 3"},
            {
                "modules_to_save",
                "[\"(\"]",
                "\"modules_to_save\": the expression \"(\" is no regular expression: Unclosed group"
            },
            {
                "trainable_token_indices",
                "3",
                "\"trainable_token_indices\" must be an object, found 3"
            },
            {
                "trainable_token_indices",
                "[-1]",
                "\"trainable_token_indices\" must be an integer from 0 on, found -1"
            },
            {
                "trainable_token_indices",
                "{\"embed_tokens\": 4}",
                "\"trainable_token_indices.embed_tokens\" must be a list of integers from 0 on,"
                        + " found 4"
            },
            {
                "alora_invocation_tokens",
                "[1.5]",
                "\"alora_invocation_tokens\" must be an integer from 0 on, found 1.5"
            },
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

    /** Without a bound the first of these takes longer than the universe has. */
    @Test(timeOut = 20_000)
    public void boundsExpressionsThatDoNotEnd() throws IOException {
        directory.with("target_modules", "\"(.*_?)*(.*_?)*(.*_?)*x\"");
        PeftConfig config = read();
        String message =
                expectThrows(
                                LoraConfigurationException.class,
                                () -> config.targets().contains(AdapterDirectory.Q.repeat(4)))
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
                .with("lora_dropout", "0.0")
                .with("inference_mode", "false")
                .with("peft_version", "\"0.18.0\"")
                .with("megatron_core", "\"megatron.core\"")
                .with("qalora_group_size", "16")
                .with("merge_weights", "true")
                .with("revision", "\"main\"")
                .with("use_dora", "null")
                .with("bias", "null");
        assertEquals(warnings(), List.of());
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
                warnings(),
                List.of(
                        "task_type is \"SEQ_CLS\", not CAUSAL_LM",
                        "the field \"new_f\" is not known and was not followed"));
    }

    @Test
    public void warnsOfDropout() throws IOException {
        directory.with("lora_dropout", "0.05");
        assertEquals(
                read().issues(),
                List.of(
                        new Issue(
                                Severity.WARNING,
                                "config-dropout",
                                "lora_dropout is 0.05; it acts in training alone")));
    }

    /** Adapters trained on quantised weights (QLoRA) are LoRA adapters. */
    @Test
    public void warnsOfAQuantisedBase() throws IOException {
        for (String name : List.of("unsloth/llama-3-8b-bnb-4bit", "x/Y-GPTQ", "a/b-AWQ")) {
            directory.with("base_model_name_or_path", '"' + name + '"');
            assertEquals(
                    warnings(),
                    List.of(
                            "the adapter was trained on \""
                                    + name
                                    + "\", by its name a quantised model: on other weights its"
                                    + " answers differ a little from those in training"));
        }
        directory.with("base_model_name_or_path", "\"meta/llama-3-8b\"");
        assertEquals(warnings(), List.of());
    }
}
