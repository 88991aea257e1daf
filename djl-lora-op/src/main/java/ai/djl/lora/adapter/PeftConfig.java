/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.json.Message;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * An adapter's {@code adapter_config.json}, as PEFT 0.18 writes it, as far as it means the same for
 * every method; the rest is the method's own ({@link AdapterVariant}).
 *
 * <p>Every field that changes what the adapter computes is either followed or refused by its name;
 * fields that matter in training alone are left; a field that is not known and holds something
 * makes a warning, or is refused where its name says that it switches a variant on ({@code use_}).
 */
public final class PeftConfig {

    /** The file's name in an adapter's directory. */
    public static final String FILE_NAME = "adapter_config.json";

    /** What names of checkpoints say that trainers load with quantised weights. */
    private static final Pattern QUANTISED =
            Pattern.compile("(4|8)-?bit|bnb|gptq|awq|nf4|int4|int8|fp8|hqq|aqlm|eetq");

    private final String peftType;
    private final TargetModules targets;
    private final String baseModel;
    private final String taskType;
    private final VariantReader reader;
    private final List<Issue> issues = new ArrayList<>();

    private PeftConfig(ConfigFields fields, VariantRegistry variants) {
        fields.required("peft_type", "one of " + String.join(", ", variants.peftTypes()));
        peftType = fields.text("peft_type").orElseThrow();
        AdapterVariant variant =
                variants.find(peftType)
                        .orElseThrow(
                                () ->
                                        new LoraVariantException(
                                                fields.where("peft_type")
                                                        + ": adapters of type "
                                                        + Message.quote(peftType)
                                                        + " are not supported, supported are "
                                                        + String.join(", ", variants.peftTypes())));
        reader = variant.read(fields);
        targets = TargetModules.read(fields);
        baseModel = fields.text("base_model_name_or_path").orElse(null);
        taskType = fields.text("task_type").orElse(null);
        fields.flag("inference_mode");
        fields.leave("auto_mapping", "peft_version", "revision");
        issues.addAll(fields.issues());
        if (taskType != null && !"CAUSAL_LM".equals(taskType)) {
            warn("config-task", "task_type is " + Message.quote(taskType) + ", not CAUSAL_LM");
        }
        if (baseModel != null && QUANTISED.matcher(baseModel.toLowerCase(Locale.ROOT)).find()) {
            warn(
                    "config-quantised-base",
                    "the adapter was trained on "
                            + Message.quote(baseModel)
                            + ", by its name a quantised model: on other weights its answers differ"
                            + " a little from those in training");
        }
        fields.unknown().forEach((name, value) -> checkUnknown(fields, name, value));
    }

    /**
     * Reads an adapter's configuration.
     *
     * @param files the adapter
     * @param variants the variants that can be loaded
     * @return the configuration
     * @throws LoraConfigurationException if a field is not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     */
    public static PeftConfig read(AdapterFiles files, VariantRegistry variants) {
        Path source = files.source();
        Path file = Files.isDirectory(source) ? source.resolve(FILE_NAME) : source;
        return read(Message.oneLine(file.toString()), files.config(), variants);
    }

    /**
     * Reads a configuration.
     *
     * @param file where it stands, for messages
     * @param json the content
     * @param variants the variants that can be loaded
     * @return the configuration
     * @throws LoraConfigurationException if a field is not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     */
    public static PeftConfig read(String file, JsonObject json, VariantRegistry variants) {
        return new PeftConfig(new ConfigFields(file, json), variants);
    }

    /**
     * Returns the method that the adapter was trained by.
     *
     * @return {@code peft_type}, such as {@code LORA}
     */
    public String peftType() {
        return peftType;
    }

    /**
     * Returns which modules the adapter changes.
     *
     * @return what {@code target_modules}, {@code exclude_modules}, {@code modules_to_save} and
     *     {@code layers_to_transform} stand for
     */
    public TargetModules targets() {
        return targets;
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
     * @return the warnings
     */
    public List<Issue> issues() {
        return List.copyOf(issues);
    }

    /** Returns what reads the adapter's tensors. */
    VariantReader reader() {
        return reader;
    }

    private void checkUnknown(ConfigFields fields, String name, JsonElement value) {
        if (name.startsWith("use_")) {
            throw fields.unsupported(name, value, "an unknown variant");
        }
        warn(
                "config-unknown",
                "the field " + Message.quote(name) + " is not known and was not followed");
    }

    private void warn(String code, String message) {
        issues.add(new Issue(Severity.WARNING, code, message));
    }
}
