/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Reads the sampling parameters of a request's body: {@code parameters}, and {@code
 * response_format}, which may stand in it or beside it, where OpenAI has it.
 */
final class SamplingFields {

    static final String PARAMETERS = "parameters";

    private static final String STOP = "stop";
    private static final String STOP_TOKEN_IDS = "stop_token_ids";
    private static final String IGNORE_EOS = "ignore_eos";
    private static final String LOGIT_BIAS = "logit_bias";
    private static final String LOGPROBS = "logprobs";
    private static final String N = "n";
    private static final String BEST_OF = "best_of";
    private static final Set<String> NAMES = names();

    private final SamplingParameters defaults;

    /**
     * Constructs a new {@code SamplingFields} instance.
     *
     * @param defaults the values of what a body does not give
     */
    SamplingFields(SamplingParameters defaults) {
        this.defaults = defaults;
    }

    private static Set<String> names() {
        Set<String> names = new TreeSet<>(SamplingArguments.NAMES);
        names.addAll(Set.of(STOP, STOP_TOKEN_IDS, IGNORE_EOS, LOGIT_BIAS, LOGPROBS, N, BEST_OF));
        names.addAll(ConstraintFields.NAMES);
        return names;
    }

    /**
     * Reads the parameters.
     *
     * @param body the body
     * @return the parameters
     * @throws LoraConfigurationException naming the field that is wrong
     */
    SamplingParameters read(JsonObject body) {
        ConstraintFields constraint = new ConstraintFields();
        constraint.take(body, "");
        if (!body.has(PARAMETERS)) {
            return constraint.over(defaults.toBuilder()).build();
        }
        JsonObject parameters = JsonFields.object(body.get(PARAMETERS), PARAMETERS);
        String prefix = PARAMETERS + '.';
        JsonFields.refuseUnknown(parameters, NAMES, prefix);
        constraint.take(parameters, prefix);
        SamplingParameters.Builder builder = constraint.over(defaults.toBuilder());
        if (parameters.has(STOP)) {
            builder.stopStrings(JsonFields.texts(parameters.get(STOP), prefix + STOP));
        }
        if (parameters.has(STOP_TOKEN_IDS)) {
            builder.stopTokens(tokens(parameters.get(STOP_TOKEN_IDS), prefix + STOP_TOKEN_IDS));
        }
        if (parameters.has(LOGIT_BIAS)) {
            builder.logitBias(bias(parameters.get(LOGIT_BIAS), prefix + LOGIT_BIAS));
        }
        if (parameters.has(IGNORE_EOS)) {
            builder.ignoreEos(truth(parameters.get(IGNORE_EOS), prefix + IGNORE_EOS));
        }
        whole(parameters, LOGPROBS).ifPresent(builder::logProbs);
        whole(parameters, N).ifPresent(builder::n);
        whole(parameters, BEST_OF).ifPresent(builder::bestOf);
        Map<String, BigDecimal> numbers = new HashMap<>();
        for (String name : SamplingArguments.NAMES) {
            if (parameters.has(name)) {
                numbers.put(name, number(parameters.get(name), prefix + name));
            }
        }
        return new SamplingArguments(numbers, prefix).over(builder.build());
    }

    private static OptionalInt whole(JsonObject parameters, String name) {
        if (!parameters.has(name)) {
            return OptionalInt.empty();
        }
        String field = PARAMETERS + '.' + name;
        return OptionalInt.of(whole(number(parameters.get(name), field), field));
    }

    private static BigDecimal number(JsonElement value, String field) {
        if (!JsonFields.isNumber(value)) {
            throw new LoraConfigurationException(field + " is " + value + "; a number is needed");
        }
        try {
            return value.getAsBigDecimal();
        } catch (NumberFormatException e) {
            throw new LoraConfigurationException(
                    field + " is " + value + "; a number within bounds is needed", e);
        }
    }

    private static int whole(BigDecimal value, String field) {
        try {
            return value.intValueExact();
        } catch (ArithmeticException e) {
            throw new LoraConfigurationException(
                    field + " is " + value + "; a whole number of 32 bits is needed", e);
        }
    }

    private static boolean truth(JsonElement value, String field) {
        if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isBoolean()) {
            throw new LoraConfigurationException(
                    field + " is " + value + "; true or false is needed");
        }
        return value.getAsBoolean();
    }

    private static Set<Integer> tokens(JsonElement value, String field) {
        if (!value.isJsonArray()) {
            throw new LoraConfigurationException(
                    field + " is not a list; a list of token ids is needed");
        }
        Set<Integer> tokens = new TreeSet<>();
        int index = 0;
        for (JsonElement each : value.getAsJsonArray()) {
            String place = field + '[' + index++ + ']';
            tokens.add(whole(number(each, place), place));
        }
        return tokens;
    }

    /** Reads an object as OpenAI has it, whose names are token ids. */
    private static Map<Integer, Float> bias(JsonElement value, String field) {
        Map<Integer, Float> biases = new TreeMap<>();
        for (Map.Entry<String, JsonElement> entry : JsonFields.object(value, field).entrySet()) {
            String place = field + '.' + entry.getKey();
            int token;
            try {
                token = Integer.parseInt(entry.getKey());
            } catch (NumberFormatException e) {
                throw new LoraConfigurationException(
                        place + " is no token; the names of " + field + " are token ids", e);
            }
            biases.put(token, number(entry.getValue(), place).floatValue());
        }
        return biases;
    }
}
