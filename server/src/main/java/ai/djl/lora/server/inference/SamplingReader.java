/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.translate.ConstraintFields;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BiFunction;

/**
 * Reads how tokens are chosen, under the names that OpenAI, vLLM, TGI and DJL have for it. Each
 * value is checked as it is read, so that the field at fault is named as the client wrote it.
 *
 * <p>A request that gives no seed gets one by chance.
 */
public final class SamplingReader {

    private static final List<String> MOST =
            List.of("max_tokens", "max_completion_tokens", "max_new_tokens");
    private static final List<String> LEAST = List.of("min_tokens", "min_new_tokens");

    private static final List<Decimal> DECIMALS =
            List.of(
                    new Decimal("temperature", SamplingParameters.Builder::temperature),
                    new Decimal("top_p", SamplingParameters.Builder::topP),
                    new Decimal("min_p", SamplingParameters.Builder::minP),
                    new Decimal("typical_p", SamplingParameters.Builder::typicalP),
                    new Decimal(
                            "repetition_penalty", SamplingParameters.Builder::repetitionPenalty),
                    new Decimal("presence_penalty", SamplingParameters.Builder::presencePenalty),
                    new Decimal("frequency_penalty", SamplingParameters.Builder::frequencyPenalty));

    private final BodyFields fields;
    private SamplingParameters.Builder builder;
    private SamplingParameters checked;

    private SamplingReader(BodyFields fields, SamplingParameters defaults) {
        this.fields = fields;
        this.builder = defaults.toBuilder();
        this.checked = defaults;
    }

    /** A number that may have decimals. */
    private record Decimal(
            String name,
            BiFunction<SamplingParameters.Builder, Double, SamplingParameters.Builder> set) {}

    /**
     * Reads the parameters.
     *
     * @param fields where they are given
     * @param defaults what holds where nothing is given
     * @return the parameters, without {@code logprobs}, whose form differs from route to route
     * @throws HttpFailure naming the field that is wrong
     */
    public static SamplingParameters read(BodyFields fields, SamplingParameters defaults) {
        SamplingReader reader = new SamplingReader(fields, defaults);
        reader.readLengths();
        reader.readNumbers();
        reader.readSets();
        reader.readConstraint();
        return reader.checked;
    }

    /**
     * Reads what a body says of the answer's form beside an object with the other parameters.
     *
     * @param fields the body
     * @param sampling the parameters
     * @return the parameters with it
     * @throws HttpFailure naming the field that is wrong, or says it a second time
     */
    public static SamplingParameters beside(BodyFields fields, SamplingParameters sampling) {
        SamplingReader reader = new SamplingReader(fields, sampling);
        if (reader.readConstraint() && sampling.constraint().isPresent()) {
            throw fields.wrong(
                    "parameters", "and the body both say what the answer looks like; give one");
        }
        return reader.checked;
    }

    /**
     * Returns parameters with a value more.
     *
     * @param fields where it is given
     * @param name its field
     * @param builder the parameters
     * @return the parameters
     * @throws HttpFailure naming the field, if the value is out of its range
     */
    public static SamplingParameters build(
            BodyFields fields, String name, SamplingParameters.Builder builder) {
        try {
            return builder.build();
        } catch (LoraConfigurationException e) {
            // the message begins with the parameter's name in Java
            String message = e.getMessage();
            int is = message.indexOf(" is ");
            String found =
                    is < 0 || message.startsWith("a ") ? ": " + message : message.substring(is);
            String field = fields.prefix() + name;
            throw new HttpFailure(400, "invalid_request", field + found, field, Map.of(), e);
        }
    }

    private void check(String name) {
        checked = build(fields, name, builder);
        builder = checked.toBuilder();
    }

    private void readLengths() {
        single(MOST)
                .ifPresent(
                        name -> {
                            builder.maxNewTokens(fields.whole(name).orElseThrow());
                            check(name);
                        });
        single(LEAST)
                .ifPresent(
                        name -> {
                            builder.minNewTokens(fields.whole(name).orElseThrow());
                            check(name);
                        });
    }

    /** Returns which of some names for the same is given, which must agree. */
    private Optional<String> single(List<String> names) {
        String found = null;
        for (String name : names) {
            OptionalInt value = fields.whole(name);
            if (value.isPresent() && found != null && !value.equals(fields.whole(found))) {
                throw fields.wrong(
                        name,
                        "is "
                                + value.getAsInt()
                                + " and "
                                + found
                                + " is "
                                + fields.whole(found).getAsInt()
                                + "; they mean the same and must agree");
            }
            if (value.isPresent()) {
                found = name;
            }
        }
        return Optional.ofNullable(found);
    }

    private void readNumbers() {
        for (Decimal decimal : DECIMALS) {
            Optional<BigDecimal> value = fields.number(decimal.name);
            if (value.isPresent()) {
                decimal.set.apply(builder, value.get().doubleValue());
                check(decimal.name);
            }
        }
        fields.whole("top_k")
                .ifPresent(
                        value -> {
                            // vLLM's word for all tokens is -1
                            builder.topK(value == -1 ? 0 : value);
                            check("top_k");
                        });
        builder.seed(
                fields.wholeLong("seed").orElseGet(() -> ThreadLocalRandom.current().nextLong()));
        check("seed");
        fields.whole("n")
                .ifPresent(
                        value -> {
                            builder.n(value);
                            check("n");
                        });
        fields.whole("best_of")
                .ifPresent(
                        value -> {
                            if (value < 1) {
                                throw fields.wrong(
                                        "best_of", "is " + value + "; it must be 1 or more");
                            }
                            builder.bestOf(value);
                            check("best_of");
                        });
    }

    private void readSets() {
        fields.texts("stop")
                .ifPresent(
                        texts -> {
                            builder.stopStrings(texts);
                            check("stop");
                        });
        fields.wholes("stop_token_ids")
                .ifPresent(
                        tokens -> {
                            Set<Integer> all = new TreeSet<>();
                            for (int token : tokens) {
                                all.add(token);
                            }
                            builder.stopTokens(all);
                            check("stop_token_ids");
                        });
        builder.ignoreEos(fields.flag("ignore_eos", checked.ignoreEos()));
        check("ignore_eos");
        fields.object("logit_bias")
                .ifPresent(
                        biases -> {
                            Map<Integer, Float> all = new TreeMap<>();
                            for (Map.Entry<String, JsonElement> each : biases.given().entrySet()) {
                                float bias =
                                        biases.number(each.getKey()).orElseThrow().floatValue();
                                all.put(token(biases, each.getKey()), bias);
                            }
                            builder.logitBias(all);
                            check("logit_bias");
                        });
    }

    private static int token(BodyFields biases, String name) {
        try {
            return Integer.parseInt(name);
        } catch (NumberFormatException e) {
            throw biases.wrong(name, "is no token; the names are token ids", e);
        }
    }

    /** Returns whether there is one. */
    private boolean readConstraint() {
        String name = null;
        for (String each : ConstraintFields.NAMES) {
            name = fields.has(each) ? each : name;
        }
        if (name == null) {
            return false;
        }
        ConstraintFields constraint = new ConstraintFields();
        JsonObject given = fields.given();
        try {
            constraint.take(given, fields.prefix());
        } catch (LoraConfigurationException e) {
            throw new HttpFailure(
                    400, "invalid_request", e.getMessage(), fields.prefix() + name, Map.of(), e);
        }
        constraint.over(builder);
        check(name);
        return true;
    }
}
