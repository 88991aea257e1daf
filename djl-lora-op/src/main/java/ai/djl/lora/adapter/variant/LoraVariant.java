/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.VariantReader;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * LoRA (arXiv 2106.09685) and what PEFT makes of it by fields of the same configuration: rsLoRA
 * (arXiv 2312.03732), DoRA (arXiv 2402.09353), activated LoRA (arXiv 2504.12397), a bias of B, and
 * what may stand beside it: biases, replaced modules, trained tokens.
 *
 * <p>Adapters of methods that only begin or train otherwise (LoRA+, EVA, converted PiSSA and OLoRA,
 * QLoRA) are LoRA adapters. {@code fan_in_fan_out} says that the base layer keeps its weight as
 * [in, out] (GPT-2's Conv1D): A and B are stored as [rank, in] and [out, rank] all the same.
 */
public final class LoraVariant implements AdapterVariant {

    /** How {@code init_lora_weights} may begin a training that leaves the base weights alone. */
    private static final Set<String> PLAIN_INITIALISATIONS =
            Set.of("gaussian", "eva", "orthogonal");

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("LORA");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        fields.refuseWhenSet(refused());
        checkInitialisation(fields);
        leaveTraining(fields);
        boolean dora = fields.flag("use_dora");
        boolean biased = fields.flag("lora_bias");
        if (dora && biased) {
            throw fields.unsupported(
                    "lora_bias", new JsonPrimitive(true), "a bias of B together with use_dora");
        }
        boolean stabilised = fields.flag("use_rslora");
        LoraReader reader =
                new LoraReader(
                        RankScale.read(fields, "lora_alpha", stabilised),
                        stabilised,
                        dora,
                        biased,
                        invocation(fields),
                        new BesideProducts(
                                SavedModules.read(fields),
                                TrainedBiases.read(fields, "lora_only"),
                                TrainedTokens.read(fields)));
        checkActivated(fields, reader, dora || biased);
        return reader;
    }

    private static void checkActivated(ConfigFields fields, LoraReader reader, boolean more) {
        if (reader.isActivated() && (more || !reader.isAlone())) {
            throw new LoraVariantException(
                    fields.where("alora_invocation_tokens")
                            + ": activated LoRA is supported alone, not together with use_dora,"
                            + " lora_bias, bias, modules_to_save or trainable_token_indices");
        }
    }

    /** Leaves what matters in training alone. */
    static void leaveTraining(ConfigFields fields) {
        fields.leaveDropout("lora_dropout");
        fields.flag("fan_in_fan_out");
        fields.leave(
                "corda_config",
                "eva_config",
                "loftq_config",
                "megatron_core",
                "merge_weights",
                "qalora_group_size",
                "runtime_config");
    }

    /** Returns the fields that are refused when they ask for something, and why. */
    static Map<String, String> refused() {
        Map<String, String> refused = new LinkedHashMap<>();
        refused.put("use_qalora", "QALoRA");
        refused.put("arrow_config", "Arrow routing");
        refused.put("target_parameters", "adapters of parameters that are no linear layer");
        refused.put("layer_replication", "repeated layers");
        refused.put("megatron_config", "layers of Megatron");
        refused.put("enable_lora", "adapters of parts of a merged layer");
        return refused;
    }

    /**
     * Refuses adapters that PEFT applies to a base model that it has changed: PiSSA, CorDA, OLoRA
     * and LoftQ take a part out of the base weights when the adapter is attached, also for
     * inference. Adapters of these methods that were converted to plain LoRA, as PEFT's {@code
     * save_pretrained} does on demand, say {@code true} here.
     */
    static void checkInitialisation(ConfigFields fields) {
        String name = "init_lora_weights";
        Optional<JsonElement> value = fields.value(name);
        if (value.isEmpty()
                || value.get() instanceof JsonPrimitive primitive && primitive.isBoolean()) {
            return;
        }
        String method = fields.text(name).orElseThrow();
        if (!PLAIN_INITIALISATIONS.contains(method)) {
            throw fields.unsupported(
                    name,
                    value.get(),
                    "an initialisation that changes the base weights; supported are true, false,"
                            + " \"gaussian\", \"eva\" and \"orthogonal\", or the adapter converted"
                            + " to plain LoRA");
        }
    }

    private static int[] invocation(ConfigFields fields) {
        String name = "alora_invocation_tokens";
        Optional<JsonElement> value = fields.value(name);
        if (value.isEmpty()) {
            return new int[0];
        }
        int[] tokens = fields.wholes(name, value.get());
        if (tokens.length == 0) {
            // PEFT asks only whether this field is null, and an empty list never activates
            throw fields.unsupported(name, value.get(), "activated LoRA without a token");
        }
        return tokens;
    }
}
