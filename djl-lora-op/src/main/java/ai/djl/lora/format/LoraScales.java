/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * The ranks and alphas of an adapter that has no {@code adapter_config.json}, and the LoRA
 * configuration that says the same.
 */
final class LoraScales {

    /** The characters that mean something in a regular expression, of Python's as of Java's. */
    private static final String SPECIAL = ".^$*+?()[]{}|\\";

    private final String file;
    private final Map<String, Long> ranks = new LinkedHashMap<>();
    private final Map<String, Double> alphas = new LinkedHashMap<>();

    /**
     * Constructs a new {@code LoraScales} instance.
     *
     * @param file what is described, for messages
     */
    LoraScales(String file) {
        this.file = file;
    }

    /**
     * Adds a module.
     *
     * @param module its name in the base model
     * @param rank the rank
     * @param alpha the alpha, of which the scale is alpha / rank
     */
    void add(String module, long rank, double alpha) {
        String where = file + ": module " + Message.quote(module);
        if (rank < 1 || rank > Integer.MAX_VALUE) {
            throw new LoraConfigurationException(
                    where + " has the rank " + rank + ", expected at least 1");
        }
        if (alpha == 0 || Double.isNaN(alpha) || Double.isInfinite(alpha)) {
            // with 0 the base answer would pass for an adapted one
            throw new LoraConfigurationException(
                    where + " has the alpha " + alpha + ", expected a finite number other than 0");
        }
        ranks.put(module, rank);
        alphas.put(module, alpha);
    }

    /**
     * Returns the configuration.
     *
     * @return what an {@code adapter_config.json} would hold
     * @throws LoraConfigurationException if there is no module
     */
    JsonObject toConfig() {
        if (ranks.isEmpty()) {
            throw new LoraConfigurationException(file + ": the file has no LoRA matrices");
        }
        JsonObject config = new JsonObject();
        config.addProperty("peft_type", "LORA");
        long rank = mostFrequent(ranks);
        double alpha = mostFrequent(alphas);
        config.addProperty("r", rank);
        config.addProperty("lora_alpha", number(alpha));
        JsonObject rankPattern = new JsonObject();
        ranks.forEach(
                (module, value) -> {
                    if (value != rank) {
                        rankPattern.addProperty(key(module), value);
                    }
                });
        config.add("rank_pattern", rankPattern);
        JsonObject alphaPattern = new JsonObject();
        alphas.forEach(
                (module, value) -> {
                    if (value != alpha) {
                        alphaPattern.addProperty(key(module), number(value));
                    }
                });
        config.add("alpha_pattern", alphaPattern);
        JsonArray targets = new JsonArray();
        ranks.keySet().forEach(targets::add);
        config.add("target_modules", targets);
        config.addProperty("bias", "none");
        return config;
    }

    /** Returns the expression that matches a module's name and nothing else. */
    private static String key(String module) {
        StringBuilder key = new StringBuilder("^");
        for (char c : module.toCharArray()) {
            if (SPECIAL.indexOf(c) >= 0) {
                key.append('\\');
            }
            key.append(c);
        }
        return key.toString();
    }

    private static Number number(double value) {
        // a small whole number is written as one, as people write it
        if (value == Math.rint(value) && Math.abs(value) < 1 << 30) {
            return (int) value;
        }
        return value;
    }

    private static <T> T mostFrequent(Map<String, T> values) {
        Map<T, Integer> counts = new HashMap<>();
        values.values().forEach(value -> counts.merge(value, 1, Integer::sum));
        // of two that are equally frequent the first of the file
        List<T> inOrder = new ArrayList<>(new LinkedHashSet<>(values.values()));
        T best = inOrder.get(0);
        for (T value : inOrder) {
            if (counts.get(value) > counts.get(best)) {
                best = value;
            }
        }
        return best;
    }
}
