/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.json.Message;
import ai.djl.lora.json.StrictJson;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;

/**
 * An adapter's {@code adapter_config.json}, as PEFT 0.18 writes it for LoRA.
 *
 * <p>Every field that changes what the adapter computes is either followed or refused by its name;
 * fields that matter in training alone are left; a field that is not known and holds something
 * makes a warning, or is refused where its name says that it switches a variant on ({@code use_}).
 *
 * <p><b>Ranks and alphas by module.</b> PEFT looks a module up in {@code rank_pattern} and, on its
 * own, in {@code alpha_pattern} ({@code get_pattern_key} in {@code utils/other.py}). A key is a
 * regular expression that must match the end of the module's name: the whole name, or what stands
 * behind one of its dots, so that {@code q_proj} matches {@code layers.0.self_attn.q_proj} and not
 * {@code my_q_proj}, and a key that begins with {@code ^} matches whole names alone. The first key
 * in the file's order that matches gives the value, not the longest (PEFT sorts the keys when it
 * saves, so the order in the file may not be the one of the training); {@code r} and {@code
 * lora_alpha} stand where none does. The names are those of the base model, without {@code
 * base_model.model.}.
 *
 * <p><b>Scale.</b> {@code alpha / r}, or {@code alpha / sqrt(r)} with {@code use_rslora} (rsLoRA,
 * arXiv 2312.03732), with the alpha and the rank of the module.
 *
 * <p><b>fan_in_fan_out</b> says that the base layer keeps its weight as [in, out] (GPT-2's Conv1D).
 * PEFT then transposes the product B A when it merges; A and B are linear layers of their own and
 * stored as [rank, in] and [out, rank] all the same, so nothing changes here.
 */
public final class PeftConfig {

    /** The file's name in an adapter's directory. */
    public static final String FILE_NAME = "adapter_config.json";

    private static final int MAX_BYTES = 16 << 20;
    private static final String SUPPORTED_TYPE = "LORA";

    /** How {@code init_lora_weights} may begin a training that leaves the base weights alone. */
    private static final Set<String> PLAIN_INITIALISATIONS =
            Set.of("gaussian", "eva", "orthogonal");

    /** Fields that change what an adapter computes and that are not followed, and why. */
    private static final Map<String, String> REFUSED_WHEN_SET = refusedWhenSet();

    /** Fields that matter in training alone or only describe. */
    private static final List<String> HARMLESS =
            List.of(
                    "auto_mapping",
                    "corda_config",
                    "eva_config",
                    "loftq_config",
                    "megatron_core",
                    "merge_weights",
                    "peft_version",
                    "qalora_group_size",
                    "revision",
                    "runtime_config");

    private final Path file;
    private final int rank;
    private final double alpha;
    private final boolean rslora;
    private final boolean fanInFanOut;
    private final List<ByModule<Integer>> rankPattern;
    private final List<ByModule<Double>> alphaPattern;
    private final TargetModules targets;
    private final String baseModel;
    private final String taskType;
    private final List<String> warnings = new ArrayList<>();

    private PeftConfig(Path file, ConfigFields fields) {
        this.file = file;
        checkVariant(fields);
        rank = fields.whole("r", fields.required("r", "a positive integer"), 1);
        alpha = readAlpha(fields, "lora_alpha", fields.required("lora_alpha", "a number"));
        rslora = fields.flag("use_rslora");
        fanInFanOut = fields.flag("fan_in_fan_out");
        rankPattern = readPattern(fields, "rank_pattern", (name, v) -> fields.whole(name, v, 1));
        alphaPattern =
                readPattern(fields, "alpha_pattern", (name, v) -> readAlpha(fields, name, v));
        targets = TargetModules.read(fields);
        baseModel = fields.text("base_model_name_or_path").orElse(null);
        taskType = fields.text("task_type").orElse(null);
        checkTrainingFields(fields);
        if (!targets.isSpecified()) {
            warnings.add("target_modules is absent: what ought to be adapted is not known");
        }
        if (taskType != null && !"CAUSAL_LM".equals(taskType)) {
            warnings.add("task_type is " + Message.quote(taskType) + ", not CAUSAL_LM");
        }
        fields.unknown().forEach((name, value) -> checkUnknown(fields, name, value));
    }

    /**
     * Reads the configuration in an adapter's directory.
     *
     * @param directory the directory
     * @return the configuration
     * @throws LoraConfigurationException if the file is missing or a field is not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     */
    public static PeftConfig read(Path directory) {
        Path file = directory.resolve(FILE_NAME);
        return new PeftConfig(
                file,
                new ConfigFields(
                        Message.oneLine(file.toString()), StrictJson.readObject(file, MAX_BYTES)));
    }

    /**
     * Returns the file that was read.
     *
     * @return the path
     */
    public Path file() {
        return file;
    }

    /**
     * Returns {@code r}, the rank of modules that no pattern matches.
     *
     * @return the rank
     */
    public int rank() {
        return rank;
    }

    /**
     * Returns {@code lora_alpha}, the alpha of modules that no pattern matches.
     *
     * @return the alpha
     */
    public double alpha() {
        return alpha;
    }

    /**
     * Returns {@code use_rslora}.
     *
     * @return whether scales are alpha / sqrt(rank)
     */
    public boolean rslora() {
        return rslora;
    }

    /**
     * Returns {@code fan_in_fan_out}, which changes nothing in the adapter's own matrices.
     *
     * @return whether the base model keeps its weights as [in, out]
     */
    public boolean fanInFanOut() {
        return fanInFanOut;
    }

    /**
     * Returns a module's rank, through {@code rank_pattern}.
     *
     * @param module the module's name in the base model
     * @return the rank, at least 1
     * @throws LoraConfigurationException if a pattern takes too long to match
     */
    public int rankOf(String module) {
        return find(rankPattern, module, rank);
    }

    /**
     * Returns a module's alpha, through {@code alpha_pattern}.
     *
     * @param module the module's name in the base model
     * @return the alpha, finite and not 0
     * @throws LoraConfigurationException if a pattern takes too long to match
     */
    public double alphaOf(String module) {
        return find(alphaPattern, module, alpha);
    }

    /**
     * Returns the factor of a module's product B A x.
     *
     * @param module the module's name in the base model
     * @return {@code alpha / rank}, or {@code alpha / sqrt(rank)} with rsLoRA
     * @throws LoraConfigurationException if float32 does not hold the factor, or a pattern takes
     *     too long to match
     */
    public float scaleOf(String module) {
        int moduleRank = rankOf(module);
        double scale = alphaOf(module) / (rslora ? Math.sqrt(moduleRank) : moduleRank);
        float narrow = (float) scale;
        if (narrow == 0 || Float.isInfinite(narrow)) {
            throw new LoraConfigurationException(
                    Message.oneLine(file.toString())
                            + ": the scale of module "
                            + Message.quote(module)
                            + " is "
                            + scale
                            + ", which float32 cannot hold");
        }
        return narrow;
    }

    /**
     * Returns whether the configuration adapts a module, through {@code target_modules}, {@code
     * exclude_modules} and {@code layers_to_transform}.
     *
     * @param module the module's name in the base model
     * @return whether it does; where {@code target_modules} is absent, whether it may
     * @throws LoraConfigurationException if an expression takes too long to match
     */
    public boolean targets(String module) {
        return targets.contains(module);
    }

    /**
     * Returns the base model that the adapter was trained on.
     *
     * @return {@code base_model_name_or_path}, a name or a path on the machine that trained it
     */
    public Optional<String> baseModel() {
        return Optional.ofNullable(baseModel);
    }

    /**
     * Returns the task that the adapter was trained for.
     *
     * @return {@code task_type}, such as {@code CAUSAL_LM}
     */
    public Optional<String> taskType() {
        return Optional.ofNullable(taskType);
    }

    /**
     * Returns what is unusual in the configuration and does not forbid its use.
     *
     * @return the warnings, one line each
     */
    public List<String> warnings() {
        return List.copyOf(warnings);
    }

    /** Returns what {@code target_modules} stands for. */
    TargetModules targetModules() {
        return targets;
    }

    private static void checkVariant(ConfigFields fields) {
        fields.required("peft_type", "\"" + SUPPORTED_TYPE + "\"");
        String type = fields.text("peft_type").orElseThrow();
        if (!SUPPORTED_TYPE.equals(type)) {
            throw new LoraVariantException(
                    fields.where("peft_type")
                            + ": adapters of type "
                            + Message.quote(type)
                            + " are not supported, supported is "
                            + SUPPORTED_TYPE);
        }
        REFUSED_WHEN_SET.forEach(
                (name, why) ->
                        fields.value(name)
                                .filter(ConfigFields::isSet)
                                .ifPresent(value -> refuse(fields, name, value, why)));
        // PEFT asks only whether this field is null: an empty list switches aLoRA on as well
        fields.value("alora_invocation_tokens")
                .ifPresent(v -> refuse(fields, "alora_invocation_tokens", v, "activated LoRA"));
        fields.text("bias")
                .filter(bias -> !"none".equals(bias))
                .ifPresent(
                        bias ->
                                refuse(
                                        fields,
                                        "bias",
                                        new JsonPrimitive(bias),
                                        "trained biases; supported is \"none\""));
        checkInitialisation(fields);
    }

    /**
     * Refuses adapters that PEFT applies to a base model that it has changed: PiSSA, CorDA, OLoRA
     * and LoftQ take a part out of the base weights when the adapter is attached, also for
     * inference. Adapters of these methods that were converted to plain LoRA, as PEFT's {@code
     * save_pretrained} does on demand, say {@code true} here.
     */
    private static void checkInitialisation(ConfigFields fields) {
        String name = "init_lora_weights";
        Optional<JsonElement> value = fields.value(name);
        if (value.isEmpty()
                || value.get() instanceof JsonPrimitive primitive && primitive.isBoolean()) {
            return;
        }
        String method = fields.text(name).orElseThrow();
        if (!PLAIN_INITIALISATIONS.contains(method)) {
            refuse(
                    fields,
                    name,
                    value.get(),
                    "an initialisation that changes the base weights; supported are true, false,"
                            + " \"gaussian\", \"eva\" and \"orthogonal\", or the adapter converted"
                            + " to plain LoRA");
        }
    }

    private static void checkTrainingFields(ConfigFields fields) {
        fields.flag("inference_mode");
        fields.value("lora_dropout").ifPresent(value -> fields.number("lora_dropout", value));
        HARMLESS.forEach(fields::value);
    }

    private void checkUnknown(ConfigFields fields, String name, JsonElement value) {
        if (name.startsWith("use_")) {
            refuse(fields, name, value, "an unknown variant");
        }
        warnings.add("the field " + Message.quote(name) + " is not known and was not followed");
    }

    private static void refuse(ConfigFields fields, String name, JsonElement value, String why) {
        throw new LoraVariantException(
                fields.where(name)
                        + " = "
                        + Message.quote(value.toString())
                        + " is not supported ("
                        + why
                        + ")");
    }

    private static double readAlpha(ConfigFields fields, String name, JsonElement value) {
        double number = fields.number(name, value);
        if (number == 0) {
            // the adapter would change nothing, and the base answer would pass for an adapted one
            throw fields.wrong(name, "a number other than 0", value);
        }
        return number;
    }

    private static <T> List<ByModule<T>> readPattern(
            ConfigFields fields, String field, BiFunction<String, JsonElement, T> read) {
        Map<String, JsonElement> members = new LinkedHashMap<>(fields.members(field));
        List<ByModule<T>> pattern = new ArrayList<>();
        members.forEach(
                (key, value) ->
                        pattern.add(
                                new ByModule<>(
                                        key,
                                        new BoundedPattern(
                                                fields.where(field), key, "(.*\\.)?(", ")$"),
                                        read.apply(field + '.' + key, value))));
        return pattern;
    }

    private static <T> T find(List<ByModule<T>> pattern, String module, T otherwise) {
        for (ByModule<T> entry : pattern) {
            if (entry.expression.matchStart(module).isPresent()) {
                return entry.value;
            }
        }
        // PEFT then looks for the name itself, which counts where it does not match as expression
        return pattern.stream()
                .filter(entry -> entry.key.equals(module))
                .findFirst()
                .map(ByModule::value)
                .orElse(otherwise);
    }

    private static Map<String, String> refusedWhenSet() {
        Map<String, String> refused = new LinkedHashMap<>();
        refused.put("use_dora", "DoRA");
        refused.put("use_qalora", "QALoRA");
        refused.put("lora_bias", "a bias of B");
        refused.put("arrow_config", "Arrow routing");
        refused.put("modules_to_save", "whole layers beside the adapter");
        refused.put("trainable_token_indices", "trained embeddings of tokens");
        refused.put("target_parameters", "adapters of parameters that are no linear layer");
        refused.put("layer_replication", "repeated layers");
        refused.put("ensure_weight_tying", "adapters of tied weights");
        refused.put("megatron_config", "layers of Megatron");
        refused.put("enable_lora", "adapters of parts of a merged layer");
        return refused;
    }

    /** A value for the modules that an expression matches. */
    private record ByModule<T>(String key, BoundedPattern expression, T value) {}
}
