/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * A field of {@code adapter_config.json} in which two adapters differ.
 *
 * @param field the field's name
 * @param first its value in the first adapter, null where it is absent
 * @param second its value in the second adapter, null where it is absent
 */
public record ConfigDifference(String field, JsonElement first, JsonElement second) {

    /** Fields of PEFT 0.18 that matter in training alone, or only describe. */
    private static final Set<String> NEUTRAL =
            Set.of(
                    "auto_mapping",
                    "base_model_name_or_path",
                    "beta1",
                    "beta2",
                    "corda_config",
                    "deltaT",
                    "encoder_dropout",
                    "encoder_hidden_size",
                    "encoder_num_layers",
                    "encoder_reparameterization_type",
                    "eva_config",
                    "inference_mode",
                    "init_ia3_weights",
                    "init_weights",
                    "loftq_config",
                    "lora_dropout",
                    "megatron_core",
                    "module_dropout",
                    "orth_reg_weight",
                    "peft_version",
                    "prefix_projection",
                    "projection_prng_key",
                    "prompt_tuning_init",
                    "prompt_tuning_init_text",
                    "qalora_group_size",
                    "rank_dropout",
                    "rank_dropout_scale",
                    "revision",
                    "runtime_config",
                    "target_r",
                    "task_type",
                    "tfinal",
                    "tinit",
                    "tokenizer_name_or_path",
                    "total_step",
                    "vera_dropout");

    /**
     * Compares two configurations by the fields that can change numbers. A field that is absent is
     * the same as one that is null, false, empty or "none"; lists are the same in any order.
     *
     * @param first the first configuration
     * @param second the second
     * @return the fields that differ, by name
     */
    static List<ConfigDifference> of(JsonObject first, JsonObject second) {
        Set<String> names = new TreeSet<>(first.keySet());
        names.addAll(second.keySet());
        names.removeAll(NEUTRAL);
        List<ConfigDifference> found = new ArrayList<>();
        for (String name : names) {
            JsonElement one = first.get(name);
            JsonElement other = second.get(name);
            if (!isSame(one, other)) {
                found.add(new ConfigDifference(name, one, other));
            }
        }
        return found;
    }

    private static boolean isSame(JsonElement one, JsonElement other) {
        if (!isSet(one) || !isSet(other)) {
            return isSet(one) == isSet(other);
        }
        if (one instanceof JsonArray list && other instanceof JsonArray list2) {
            return list.size() == list2.size()
                    && new HashSet<>(list.asList()).equals(new HashSet<>(list2.asList()));
        }
        if (isNumber(one) && isNumber(other)) {
            return number(one).compareTo(number(other)) == 0;
        }
        return one.equals(other);
    }

    private static boolean isSet(JsonElement value) {
        if (value == null || value.isJsonNull()) {
            return false;
        }
        if (value instanceof JsonPrimitive primitive && primitive.isBoolean()) {
            return primitive.getAsBoolean();
        }
        if (value instanceof JsonPrimitive primitive && primitive.isString()) {
            // what bias says where there is none
            return !"none".equals(primitive.getAsString());
        }
        if (value instanceof JsonArray array) {
            return !array.isEmpty();
        }
        return !(value instanceof JsonObject object) || !object.isEmpty();
    }

    private static boolean isNumber(JsonElement value) {
        return value instanceof JsonPrimitive primitive && primitive.isNumber();
    }

    private static BigDecimal number(JsonElement value) {
        return value.getAsBigDecimal();
    }
}
