/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static ai.djl.lora.adapter.AdapterDirectory.LAYOUT;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static ai.djl.lora.adapter.AdapterDirectory.TIED;
import static ai.djl.lora.adapter.AdapterDirectory.V;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Every way in which an adapter is known to go wrong, as the table in docs/adapters.md has it. */
public class BrokenAdaptersTest {

    private static final Path TABLE = Path.of("../docs/adapters.md");
    private static final String WEIGHTS = "adapter_model.safetensors";
    private static final String EMBEDDING = "model.embed_tokens";
    private static final ModelLayout SQUARE =
            new ModelLayout(List.of(new LoraModule(0, "m.w", 4, 4)));

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    /** What is wrong, how that comes about, and what is said. */
    private record Case(
            String wrong,
            ModelLayout layout,
            LoadingPolicy policy,
            Change change,
            Class<? extends LoraException> type,
            String message) {

        /** {@inheritDoc} */
        @Override
        public String toString() {
            return wrong;
        }
    }

    /** Spoils an adapter; what it writes itself stays. */
    @FunctionalInterface
    private interface Change {
        void apply(AdapterDirectory directory) throws IOException;
    }

    private final List<Case> cases = new ArrayList<>();

    private void config(String wrong, Change change, String message) {
        add(wrong, LAYOUT, change, LoraConfigurationException.class, message);
    }

    private void variant(String wrong, Change change, String message) {
        add(wrong, LAYOUT, change, LoraVariantException.class, message);
    }

    private void misfit(String wrong, Change change, String message) {
        add(wrong, LAYOUT, change, LoraCompatibilityException.class, message);
    }

    private void add(
            String wrong,
            ModelLayout layout,
            Change change,
            Class<? extends LoraException> type,
            String message) {
        cases.add(new Case(wrong, layout, LoadingPolicy.STRICT, change, type, message));
    }

    private void policy(String wrong, LoadingPolicy.Builder policy, Change change, String message) {
        cases.add(
                new Case(
                        wrong,
                        LAYOUT,
                        policy.build(),
                        change,
                        LoraCompatibilityException.class,
                        message));
    }

    @DataProvider
    public Object[][] cases() {
        cases.clear();
        addFiles();
        addConfigurations();
        addVariants();
        addOtherMethods();
        addTensors();
        addReplaced();
        addPolicies();
        return cases.stream().map(each -> new Object[] {each}).toArray(Object[][]::new);
    }

    private void addFiles() {
        config(
                "the folder is not there",
                d -> d.delete(),
                "my-adapter: there is no such file or directory");
        config(
                "there is no adapter_config.json",
                d -> d.delete(PeftConfig.FILE_NAME),
                "my-adapter/adapter_model.safetensors: there is no adapter_config.json, and the"
                        + " file has no alphas to make one of");
        config(
                "there are no weights",
                d -> d.delete(WEIGHTS),
                "my-adapter: expected adapter_model.safetensors,"
                        + " adapter_model.safetensors.index.json or adapter_model.bin, found none"
                        + " of them");
        config(
                "the weights were not downloaded whole",
                d -> d.truncate(WEIGHTS, 4),
                "my-adapter/adapter_model.safetensors: the file has 4 bytes, but a safetensors file"
                        + " has at least 8");
        config(
                "the configuration was not downloaded whole",
                d -> d.truncate(PeftConfig.FILE_NAME, 20),
                "my-adapter/adapter_config.json: the JSON ends too early");
        config(
                "one tensor is there under two names",
                d -> d.put(Q + ".lora_A.weight", 3, 6),
                "my-adapter/adapter_model.safetensors: the tensors \""
                        + PREFIX
                        + Q
                        + ".lora_A.weight\" and \""
                        + Q
                        + ".lora_A.weight\" are the same parameter \""
                        + Q
                        + ".lora_A.weight\"");
        config(
                "the file holds two adapters",
                d -> d.put(PREFIX + Q + ".lora_A.other.weight", 3, 6),
                "my-adapter/adapter_model.safetensors: tensor \""
                        + PREFIX
                        + Q
                        + ".lora_A.other.weight\" belongs to the adapter \"other\" and tensor \""
                        + PREFIX
                        + Q
                        + ".lora_A.weight\" to none by name, expected one adapter");
    }

    private void addConfigurations() {
        String file = "my-adapter/adapter_config.json: field ";
        config(
                "the method is not named",
                d -> d.with("peft_type", null),
                file
                        + "\"peft_type\" is missing, expected one of ADALORA, IA3, LOHA, LOKR, LORA,"
                        + " PREFIX_TUNING, PROMPT_TUNING, P_TUNING, TRAINABLE_TOKENS, VERA");
        config(
                "the rank is missing",
                d -> d.with("r", null),
                file + "\"r\" is missing, expected a positive integer");
        config(
                "the rank is 0",
                d -> d.with("r", "0"),
                file + "\"r\" must be a positive integer, found 0");
        config(
                "alpha is text",
                d -> d.with("lora_alpha", "\"16\""),
                file + "\"lora_alpha\" must be a finite number, found \"16\"");
        config(
                "alpha is 0, so that nothing would change",
                d -> d.with("lora_alpha", "0"),
                file + "\"lora_alpha\" must be a number other than 0, found 0");
        config(
                "target_modules is no regular expression",
                d -> d.with("target_modules", "\"*_proj\""),
                file
                        + "\"target_modules\": the expression \"*_proj\" is no regular expression:"
                        + " Dangling meta character '*'");
        config(
                "layers_to_transform stands beside a regular expression",
                d -> d.with("target_modules", "\".*_proj\"").with("layers_to_transform", "[0]"),
                file + "\"layers_to_transform\" must be absent where target_modules is a string");
        config(
                "bias is none of PEFT's settings",
                d -> d.with("bias", "\"some\""),
                file + "\"bias\" must be \"none\", \"all\" or \"lora_only\", found \"some\"");
        config(
                "IA3 without feedforward_modules",
                d ->
                        d.begin("{\"peft_type\": \"IA3\", \"target_modules\": [\"q_proj\"]}")
                                .put("x.ia3_l", 4, 1),
                file
                        + "\"feedforward_modules\" is missing, expected a string or a list of strings");
        config(
                "prompt tuning without a number of tokens",
                d -> d.begin("{\"peft_type\": \"PROMPT_TUNING\"}").put("prompt_embeddings", 2, 6),
                file + "\"num_virtual_tokens\" is missing, expected a positive integer");
        config(
                "trainable tokens without a token",
                d ->
                        d.begin("{\"peft_type\": \"TRAINABLE_TOKENS\", \"token_indices\": []}")
                                .put(PREFIX + EMBEDDING + ".trainable_tokens_delta", 0, 6),
                file + "\"token_indices\" must be a list of at least one token, found []");
        config(
                "AdaLoRA's rank_pattern has another length than init_r",
                d -> adaLora(d, "{\"" + Q + ".lora_E\": [true, false]}"),
                file
                        + "\"rank_pattern."
                        + Q
                        + ".lora_E\" must be a list of 3 booleans, as many as init_r, found"
                        + " [true,false]");
    }

    private static void adaLora(AdapterDirectory d, String pattern) {
        d.begin(
                "{\"peft_type\": \"ADALORA\", \"init_r\": 3, \"lora_alpha\": 6,"
                        + " \"target_modules\": [\"q_proj\"], \"rank_pattern\": "
                        + pattern
                        + "}");
        d.put(PREFIX + Q + ".lora_A", 3, 6);
        d.put(PREFIX + Q + ".lora_B", 4, 3);
        d.put(PREFIX + Q + ".lora_E", 3, 1);
    }

    private void addVariants() {
        String file = "my-adapter/adapter_config.json: field ";
        variant(
                "the method is not supported",
                d -> d.with("peft_type", "\"BOFT\""),
                file
                        + "\"peft_type\": adapters of type \"BOFT\" are not supported, supported are"
                        + " ADALORA, IA3, LOHA, LOKR, LORA, PREFIX_TUNING, PROMPT_TUNING, P_TUNING,"
                        + " TRAINABLE_TOKENS, VERA");
        variant(
                "QALoRA",
                d -> d.with("use_qalora", "true"),
                file + "\"use_qalora\" = \"true\" is not supported (QALoRA)");
        variant(
                "a variant that is not known",
                d -> d.with("use_magic", "true"),
                file + "\"use_magic\" = \"true\" is not supported (an unknown variant)");
        variant(
                "parameters that are no linear layer",
                d -> d.with("target_parameters", "[\"experts.up\"]"),
                file
                        + "\"target_parameters\" = \"[\"experts.up\"]\" is not supported (adapters"
                        + " of parameters that are no linear layer)");
        variant(
                "PiSSA that was not converted to LoRA",
                d -> d.with("init_lora_weights", "\"pissa\""),
                file
                        + "\"init_lora_weights\" = \"\"pissa\"\" is not supported (an initialisation"
                        + " that changes the base weights; supported are true, false, \"gaussian\","
                        + " \"eva\" and \"orthogonal\", or the adapter converted to plain LoRA)");
        variant(
                "DoRA with a bias of B",
                d -> d.with("use_dora", "true").with("lora_bias", "true"),
                file
                        + "\"lora_bias\" = \"true\" is not supported (a bias of B together with"
                        + " use_dora)");
        variant(
                "activated LoRA with more than products",
                d -> d.with("alora_invocation_tokens", "[1]").with("use_dora", "true"),
                file
                        + "\"alora_invocation_tokens\": activated LoRA is supported alone, not"
                        + " together with use_dora, lora_bias, bias, modules_to_save or"
                        + " trainable_token_indices");
        variant(
                "activated LoRA without a token",
                d -> d.with("alora_invocation_tokens", "[]"),
                file
                        + "\"alora_invocation_tokens\" = \"[]\" is not supported (activated LoRA"
                        + " without a token)");
        variant(
                "DoRA of the embedding",
                d -> {
                    d.with("use_dora", "true").with("target_modules", "[\"embed_tokens\"]");
                    d.tensors.clear();
                    d.put(PREFIX + EMBEDDING + ".lora_embedding_A", 3, 12);
                    d.put(PREFIX + EMBEDDING + ".lora_embedding_B", 6, 3);
                },
                "my-adapter: LoRA of an embedding is not supported together with use_dora,"
                        + " lora_bias, alora_invocation_tokens or trainable_token_indices");
    }

    private void addOtherMethods() {
        variant(
                "VeRA whose random projections were not saved",
                d -> vera(d, false),
                "my-adapter: VeRA without its projections vera_A and vera_B is not supported, since"
                        + " only PyTorch's random generator makes the same ones; save it with"
                        + " save_projection=True");
        misfit(
                "VeRA of a smaller model",
                d -> {
                    vera(d, true);
                    d.put("base_model.vera_A", 2, 5);
                },
                "tensor \"base_model.vera_A\" has the shape [2, 5], expected [2, 6] by the"
                        + " configuration's rank 2 and the largest of its layers");
        variant(
                "LoHa whose product has a high rank",
                d -> {
                    d.begin(
                            "{\"peft_type\": \"LOHA\", \"r\": 23, \"alpha\": 8,"
                                    + " \"target_modules\": [\"q_proj\"]}");
                    d.put(PREFIX + Q + ".hada_w1_a", 4, 23);
                    d.put(PREFIX + Q + ".hada_w1_b", 23, 6);
                    d.put(PREFIX + Q + ".hada_w2_a", 4, 23);
                    d.put(PREFIX + Q + ".hada_w2_b", 23, 6);
                },
                "my-adapter: LoHa of module \""
                        + Q
                        + "\" with rank 23 makes a product of rank 529, allowed are 512");
        add(
                "LoKr of two whole matrices",
                SQUARE,
                d -> {
                    lokr(d);
                    d.put(PREFIX + "m.w.lokr_w1", 2, 2);
                    d.put(PREFIX + "m.w.lokr_w2", 2, 2);
                },
                LoraVariantException.class,
                "my-adapter: LoKr of module \"m.w\" has two whole matrices, whose product of shape"
                        + " [4, 4] has the rank 4: it is no low-rank product");
        add(
                "LoKr whose matrices do not make the layer's shape",
                SQUARE,
                d -> {
                    lokr(d);
                    d.put(PREFIX + "m.w.lokr_w1", 2, 2);
                    d.put(PREFIX + "m.w.lokr_w2_a", 3, 1);
                    d.put(PREFIX + "m.w.lokr_w2_b", 1, 2);
                },
                LoraCompatibilityException.class,
                "tensor \"base_model.model.m.w.lokr_w2_a\" has the shape [3, 1], expected [2, 1] by"
                        + " the configuration's rank 1 and the module's shape [4, 4] and of the"
                        + " other matrix");
        misfit(
                "IA3 with a feed-forward layer that the configuration does not call one",
                d ->
                        d.begin(
                                        "{\"peft_type\": \"IA3\", \"target_modules\": [\"q_proj\"],"
                                                + " \"feedforward_modules\": []}")
                                .put(PREFIX + Q + ".ia3_l", 1, 6),
                "tensor \""
                        + PREFIX
                        + Q
                        + ".ia3_l\" has the shape [1, 6], expected [4, 1] by the module's shape [4,"
                        + " 6]");
        misfit(
                "AdaLoRA's rank_pattern names a module without tensors",
                d ->
                        adaLora(
                                d,
                                "{\"model.layers.9.self_attn.q_proj.lora_E\": [true, true,"
                                        + " false]}"),
                "rank_pattern names \"model.layers.9.self_attn.q_proj\", which has no tensor"
                        + " lora_E");
        misfit(
                "a prefix for another number of layers",
                d ->
                        d.begin("{\"peft_type\": \"PREFIX_TUNING\", \"num_virtual_tokens\": 2}")
                                .put("prompt_embeddings", 2, 8),
                "tensor \"prompt_embeddings\" has the shape [2, 8], expected [2, 4] by"
                        + " num_virtual_tokens and the model's 1 layers of 1 keys and values of 2");
        misfit(
                "a prompt of another length than num_virtual_tokens",
                d ->
                        d.begin("{\"peft_type\": \"PROMPT_TUNING\", \"num_virtual_tokens\": 3}")
                                .put("prompt_embeddings", 2, 6),
                "tensor \"prompt_embeddings\" has the shape [2, 6], expected [3, 6] by"
                        + " num_virtual_tokens and the embedding's size");
    }

    private static void vera(AdapterDirectory d, boolean projections) {
        d.begin("{\"peft_type\": \"VERA\", \"r\": 2, \"target_modules\": [\"q_proj\"]}");
        if (projections) {
            d.put("base_model.vera_A", 2, 6);
            d.put("base_model.vera_B", 4, 2);
        }
        d.put(PREFIX + Q + ".vera_lambda_b", 4);
        d.put(PREFIX + Q + ".vera_lambda_d", 2);
    }

    private static void lokr(AdapterDirectory d) {
        d.begin("{\"peft_type\": \"LOKR\", \"r\": 1, \"alpha\": 1, \"target_modules\": [\"w\"]}");
    }

    private void addTensors() {
        String tensor = "tensor \"" + PREFIX + Q;
        misfit(
                "lora_B is missing",
                d -> d.tensors.remove(PREFIX + Q + ".lora_B.weight"),
                "module \"" + Q + "\" has no tensor \"" + Q + ".lora_B.weight\"");
        misfit(
                "a module that target_modules names has no tensors",
                d -> d.tensors.keySet().removeIf(name -> name.contains("v_proj")),
                "module \"" + V + "\" has no tensors, though the configuration names it");
        misfit(
                "a module that the model does not have",
                d -> d.put(PREFIX + "model.layers.7.self_attn.q_proj.lora_A.weight", 3, 6),
                "tensor \""
                        + PREFIX
                        + "model.layers.7.self_attn.q_proj.lora_A.weight\" belongs to no module of"
                        + " the model (nearest are "
                        + Q
                        + ", "
                        + V
                        + ", model.layers.0.mlp.up_proj)");
        misfit(
                "tensors of a module that target_modules does not name",
                d -> d.with("target_modules", "[\"v_proj\"]"),
                tensor + ".lora_A.weight\" belongs to a module that target_modules does not name");
        misfit(
                "another rank than the configuration's",
                d -> d.with("r", "4"),
                tensor
                        + ".lora_A.weight\" has the shape [3, 6], expected [4, 6] by the"
                        + " configuration's rank 4 and the module's shape [4, 6]");
        misfit(
                "an adapter of a model of another size",
                d -> d.put(PREFIX + Q + ".lora_A.weight", 3, 8),
                tensor
                        + ".lora_A.weight\" has the shape [3, 8], expected [3, 6] by the"
                        + " configuration's rank 3 and the module's shape [4, 6]");
        misfit(
                "a weight that is not a number",
                d ->
                        d.tensors.put(
                                PREFIX + V + ".lora_B.weight",
                                HostTensor.of(new float[] {0, 1, 2, 3, Float.NaN, 5}, 2, 3)),
                "tensor \""
                        + PREFIX
                        + V
                        + ".lora_B.weight\" holds NaN or an infinity at [1, 1], every weight must be"
                        + " finite");
        misfit(
                "a type that no weight is computed in",
                d -> {
                    d.write();
                    String header =
                            "{\""
                                    + PREFIX
                                    + Q
                                    + ".lora_A.weight\":{\"dtype\":\"F64\",\"shape\":[3,6],"
                                    + "\"data_offsets\":[0,144]}}";
                    SafetensorsWriter.write(d.path().resolve(WEIGHTS), header, new byte[144]);
                    d.keep();
                },
                tensor + ".lora_A.weight\" has the type F64, allowed are F32, F16 and BF16");
        misfit(
                "DoRA without magnitudes",
                d -> d.with("use_dora", "true"),
                "module \"" + Q + "\" has no tensor \"" + Q + ".lora_magnitude_vector\"");
        misfit(
                "magnitudes without DoRA",
                d -> d.put(PREFIX + Q + ".lora_magnitude_vector", 4),
                tensor
                        + ".lora_magnitude_vector\" is DoRA's, and the configuration's use_dora is"
                        + " not true");
        misfit(
                "a bias of B without lora_bias",
                d -> d.put(PREFIX + Q + ".lora_B.bias", 4),
                tensor
                        + ".lora_B.bias\" is a bias of B, and the configuration's lora_bias is not"
                        + " true");
        misfit(
                "a tensor that the method does not have",
                d -> d.put(PREFIX + Q + ".lora_E", 3, 1),
                tensor + ".lora_E\" is none that an adapter of type LORA has there");
        misfit(
                "nothing of the model is adapted",
                d -> {
                    d.tensors.clear();
                    d.with("target_modules", "[\"c_attn\"]");
                },
                "my-adapter: refused, applied to 0 modules, 1 warnings (target_modules names"
                        + " \"c_attn\", which the model does not have)");
    }

    private void addReplaced() {
        String tensor = "tensor \"" + PREFIX;
        misfit(
                "modules_to_save names a module without tensors",
                d -> d.with("modules_to_save", "[\"lm_head\"]"),
                "module \"lm_head\" has no tensor \"lm_head.weight\"");
        misfit(
                "a replaced weight that modules_to_save does not name",
                d -> d.put(PREFIX + "model.norm.weight", 6),
                tensor
                        + "model.norm.weight\" belongs to a module that modules_to_save does not"
                        + " name");
        misfit(
                "a replaced head for another vocabulary",
                d ->
                        d.with("modules_to_save", "[\"lm_head\"]")
                                .put(PREFIX + "lm_head.weight", 13, 6),
                tensor
                        + "lm_head.weight\" has the shape [13, 6], expected [12, 6] by the module's"
                        + " shape [12, 6]");
        misfit(
                "a trained bias though bias is none",
                d -> d.put(PREFIX + Q + ".base_layer.bias", 4),
                tensor
                        + Q
                        + ".base_layer.bias\" is a bias, and the configuration's bias is \"none\"");
        misfit(
                "a trained bias under a name that PEFT passes over",
                d -> d.with("bias", "\"lora_only\"").put(PREFIX + Q + ".bias", 4),
                tensor
                        + Q
                        + ".bias\" is a bias under a name that PEFT does not read for an adapted"
                        + " module, expected base_layer.bias");
        misfit(
                "LoRA of an embedding of another vocabulary",
                d -> {
                    d.with("target_modules", "[\"q_proj\", \"v_proj\", \"embed_tokens\"]");
                    d.put(PREFIX + EMBEDDING + ".lora_embedding_A", 3, 11);
                    d.put(PREFIX + EMBEDDING + ".lora_embedding_B", 6, 3);
                },
                tensor
                        + EMBEDDING
                        + ".lora_embedding_A\" has the shape [3, 11], expected [3, 12] by the"
                        + " configuration's rank 3 and the embedding's shape [12, 6]");
        add(
                "two copies of a weight that the model has once, which differ",
                TIED,
                d -> {
                    d.put(PREFIX + EMBEDDING + ".weight", 12, 6);
                    d.tensors.put(PREFIX + "lm_head.weight", HostTensor.of(new float[72], 12, 6));
                },
                LoraCompatibilityException.class,
                tensor
                        + EMBEDDING
                        + ".weight\" and tensor \""
                        + PREFIX
                        + "lm_head.weight\" hold different numbers, but the model has one weight"
                        + " for both");
        String tokens = "my-adapter/adapter_config.json: field \"trainable_token_indices\" names ";
        misfit(
                "a trained token that the vocabulary does not have",
                d -> trainedTokens(d, "[12]"),
                tokens + "the token 12, the model's vocabulary has 12");
        misfit(
                "a trained token twice",
                d -> trainedTokens(d, "[3, 3]"),
                tokens + "a token more than once");
        misfit(
                "another number of trained tokens",
                d -> trainedTokens(d, "[1, 2, 3]"),
                tensor
                        + EMBEDDING
                        + ".token_adapter.trainable_tokens_delta\" has the shape [1, 6], expected"
                        + " [3, 6] by the number of tokens and the embedding's size");
        variant(
                "trained rows of the output layer",
                d -> d.with("trainable_token_indices", "{\"lm_head\": [3]}"),
                tokens + "rows of \"lm_head\"; supported are those of the embedding alone");
    }

    private static void trainedTokens(AdapterDirectory d, String tokens) {
        d.with("trainable_token_indices", tokens);
        d.put(PREFIX + EMBEDDING + ".token_adapter.trainable_tokens_delta", 1, 6);
    }

    private void addPolicies() {
        policy(
                "more bytes than the policy allows",
                LoadingPolicy.builder().optMaxBytes(200),
                d -> {},
                "the tensors have 216 bytes, allowed are 200");
        policy(
                "more tensors than the policy allows",
                LoadingPolicy.builder().optMaxTensors(3),
                d -> {},
                "there are 4 tensors, allowed are 3");
        policy(
                "a higher rank than the policy allows",
                LoadingPolicy.builder().optMaxRank(2),
                d -> {},
                "module \"" + Q + "\" has the rank 3, allowed are 2");
        policy(
                "another revision than the policy pins",
                LoadingPolicy.builder().optRevision("0".repeat(64)),
                d -> {},
                ", expected " + "0".repeat(64));
        policy(
                "a rule of the user's own",
                LoadingPolicy.builder()
                        .addRule(
                                subject ->
                                        List.of(
                                                new Issue(
                                                        Severity.ERROR,
                                                        "house",
                                                        "adapters of rank "
                                                                + subject.report()
                                                                        .modules()
                                                                        .get(0)
                                                                        .rank()
                                                                + " are not allowed here"))),
                d -> {},
                "adapters of rank 3 are not allowed here");
    }

    @Test(dataProvider = "cases")
    public void refuses(Case each) throws IOException {
        each.change.apply(directory);
        directory.writeUnlessKept();
        LoraException failure =
                expectThrows(
                        each.type,
                        () -> AdapterLoader.load(directory.path(), each.layout, each.policy));
        String message = shown(failure.getMessage());
        assertFalse(message.contains("\n"), message);
        assertTrue(message.startsWith("my-adapter"), message);
        assertTrue(message.contains(each.message), message);
        if (failure instanceof LoraConfigurationException) {
            expectThrows(
                    LoraConfigurationException.class,
                    () -> AdapterLoader.validate(directory.path(), each.layout, each.policy));
        } else {
            LoadReport report = AdapterLoader.validate(directory.path(), each.layout, each.policy);
            assertFalse(report.isAccepted());
            assertTrue(shown(report.toString()).contains(each.message), report.toString());
        }
        String row = "| " + each.wrong + " | `" + each.message + "` |";
        assertTrue(Files.readString(TABLE).contains(row), TABLE + " lacks the line " + row);
    }

    private String shown(String message) {
        return message.replace(directory.path().toString(), "my-adapter");
    }

    /** The table has no lines that nothing checks, and none twice. */
    @Test
    public void tableIsThatOfTheTests() throws IOException {
        Set<String> wrong = new TreeSet<>();
        cases();
        cases.forEach(each -> assertTrue(wrong.add(each.wrong), each.wrong));
        assertTrue(wrong.size() >= 30, wrong.size() + " ways");
        List<String> lines =
                Files.readAllLines(TABLE).stream()
                        .dropWhile(line -> !line.startsWith("| what is wrong |"))
                        .skip(2)
                        .takeWhile(line -> line.startsWith("|"))
                        .toList();
        assertEquals(lines.size(), wrong.size());
    }
}
