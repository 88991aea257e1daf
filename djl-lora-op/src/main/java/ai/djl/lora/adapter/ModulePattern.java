/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.JsonElement;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * Values by module, as PEFT's {@code rank_pattern} and {@code alpha_pattern} give them ({@code
 * get_pattern_key} in {@code utils/other.py}).
 *
 * <p>A key is a regular expression that must match the end of the module's name: the whole name, or
 * what stands behind one of its dots, so that {@code q_proj} matches {@code
 * layers.0.self_attn.q_proj} and not {@code my_q_proj}, and a key that begins with {@code ^}
 * matches whole names alone. The first key in the file's order that matches gives the value, not
 * the longest (PEFT sorts the keys when it saves, so the order in the file may not be the one of
 * the training). The names are those of the base model, without {@code base_model.model.}.
 *
 * @param <T> the type of the values
 */
public final class ModulePattern<T> {

    /** A published adapter asks a few hundred keys for as many modules, a few times. */
    private static final int MAX_MATCHES = 5_000_000;

    private final String where;
    private final List<Entry<T>> entries = new ArrayList<>();
    private int matches;

    private ModulePattern(String where) {
        this.where = where;
    }

    /**
     * Reads a pattern.
     *
     * @param <T> the type of the values
     * @param fields the configuration
     * @param field the pattern's field
     * @param read makes a value of a member, whose name for messages it is given
     * @return the pattern, without entries where the field is absent
     * @throws LoraConfigurationException if the field is no object, or a key no regular expression
     */
    public static <T> ModulePattern<T> read(
            ConfigFields fields, String field, BiFunction<String, JsonElement, T> read) {
        ModulePattern<T> pattern = new ModulePattern<>(fields.where(field));
        fields.members(field)
                .forEach(
                        (key, value) ->
                                pattern.entries.add(
                                        new Entry<>(
                                                key,
                                                new BoundedPattern(
                                                        fields.where(field),
                                                        key,
                                                        "(.*\\.)?(",
                                                        ")$"),
                                                read.apply(field + '.' + key, value))));
        return pattern;
    }

    /**
     * Returns a module's value.
     *
     * @param module the module's name
     * @param otherwise the value where no key matches
     * @return the value
     * @throws LoraConfigurationException if the keys take too long to match
     */
    public T find(String module, T otherwise) {
        for (Entry<T> entry : entries) {
            if (++matches > MAX_MATCHES) {
                throw new LoraConfigurationException(
                        where
                                + " has too many expressions for the adapter's modules, allowed are "
                                + MAX_MATCHES
                                + " matches");
            }
            if (entry.expression.matchStart(module).isPresent()) {
                return entry.value;
            }
        }
        // PEFT then looks for the name itself, which counts where it does not match as expression
        return entries.stream()
                .filter(entry -> entry.key.equals(module))
                .findFirst()
                .map(Entry::value)
                .orElse(otherwise);
    }

    /** A value for the modules that an expression matches. */
    private record Entry<T>(String key, BoundedPattern expression, T value) {}
}
