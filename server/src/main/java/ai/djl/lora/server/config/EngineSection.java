/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.model.KvType;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** The section of a server's file that says how the engine shares its steps and its memory. */
final class EngineSection {

    private static final int MOST = 1_000_000;
    private static final Duration SOME = Duration.ofMillis(1);
    private static final Duration DAY = Duration.ofDays(1);

    private EngineSection() {}

    static void parse(ConfigSection section, EngineOptions.Builder engine) {
        section.integer("maxTokensPerStep", 1, MOST, engine::optMaxTokensPerStep);
        section.integer("maxSequences", 1, MOST, engine::optMaxSequences);
        section.integer("maxAdaptersPerStep", 1, MOST, engine::optMaxAdaptersPerStep);
        section.integer("maxQueue", 1, MOST, engine::optMaxQueue);
        section.integer("adapterLookahead", 1, MOST, engine::optAdapterLookahead);
        section.size("kvBytes", engine::optKvBytes);
        words(section, "kvType", KvType.values(), engine::optKvType);
        section.flag("prefixCaching", engine::optPrefixCaching);
        words(section, "kvCompression", KvCompression.values(), engine::optKvCompression);
        section.time("kvCompressAfter", Duration.ZERO, DAY, engine::optKvCompressAfter);
        section.size("kvCompressedBytes", engine::optKvCompressedBytes);
        section.flag("speculation", engine::optSpeculation);
        section.integer("speculationSequences", 1, MOST, engine::optSpeculationSequences);
        section.time("maxWait", SOME, DAY, engine::optMaxWait);
        section.time("adapterTimeout", SOME, DAY, engine::optAdapterTimeout);
        section.texts("tenantWeights", values -> engine.optTenantWeights(weights(values)));
        section.texts("adapterWeights", values -> engine.optAdapterWeights(weights(values)));
        try {
            engine.build();
        } catch (LoraConfigurationException e) {
            section.problem("", e.getMessage());
        }
    }

    private static <T extends Enum<T>> void words(
            ConfigSection section, String key, T[] values, Consumer<T> set) {
        Map<String, T> words = new HashMap<>();
        Stream.of(values).forEach(each -> words.put(each.name().toLowerCase(Locale.ROOT), each));
        section.choice(
                key, words.keySet().stream().sorted().toList(), w -> set.accept(words.get(w)));
    }

    private static Map<String, Double> weights(Map<String, String> texts) {
        Map<String, Double> weights = new HashMap<>();
        texts.forEach(
                (name, text) -> {
                    try {
                        weights.put(name, Double.valueOf(text));
                    } catch (NumberFormatException e) {
                        throw new LoraConfigurationException(
                                name + " is " + text + "; a weight must be a number above 0", e);
                    }
                });
        return weights;
    }
}
