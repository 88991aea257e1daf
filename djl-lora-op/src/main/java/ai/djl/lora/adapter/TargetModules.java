/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;

/**
 * Which modules a PEFT configuration adapts: {@code target_modules}, less {@code exclude_modules}
 * and what {@code modules_to_save} names, and of a list's matches only the layers that {@code
 * layers_to_transform} names.
 *
 * <p>The rules are those of PEFT 0.18 ({@code check_target_module_exists} in {@code
 * tuners/tuners_utils.py}): a string must match a module's whole name as a regular expression; a
 * list's entry stands for the module of that name and for each whose name ends in a dot and the
 * entry; {@code "all-linear"}, in any case, stands for every linear layer but the output layer. The
 * number of a layer is that behind the last name that has one, or behind a name that {@code
 * layers_pattern} matches; it does not restrict an entry that is a module's full name.
 */
public final class TargetModules {

    private static final String ALL_LINEAR = "all-linear";

    /** How many expressions each module's name is held against. */
    private static final int MAX_PATTERNS = 1024;

    private static final String EXPECTED = "a string or a list of strings";

    /** The name that transformers gives the output layer of its causal language models. */
    private static final String OUTPUT_LAYER = "lm_head";

    private final boolean specified;
    private final boolean linearsOnly;
    private final Set<String> names;
    private final Predicate<String> included;
    private final Predicate<String> excluded;

    private TargetModules(
            boolean specified,
            boolean linearsOnly,
            Set<String> names,
            Predicate<String> included,
            Predicate<String> excluded) {
        this.specified = specified;
        this.linearsOnly = linearsOnly;
        this.names = names;
        this.included = included;
        this.excluded = excluded;
    }

    /**
     * Reads the fields that choose modules.
     *
     * @param fields the configuration
     * @return the choice
     * @throws LoraConfigurationException if a field is not what it must be
     */
    public static TargetModules read(ConfigFields fields) {
        Optional<JsonElement> target = fields.value("target_modules");
        Predicate<String> excluded = readExcluded(fields).or(readSaved(fields));
        Optional<Predicate<String>> layers = readLayers(fields);
        if (target.isEmpty()) {
            return new TargetModules(false, false, Set.of(), name -> true, excluded);
        }
        if (target.get() instanceof JsonArray array) {
            Set<String> names =
                    new LinkedHashSet<>(fields.texts("target_modules", array, EXPECTED));
            Predicate<String> inLayers = layers.orElse(name -> true);
            Predicate<String> included =
                    name ->
                            names.contains(name)
                                    || (endsInOneOf(names, name) && inLayers.test(name));
            return new TargetModules(true, false, names, included, excluded);
        }
        String expression = fields.text("target_modules").orElseThrow();
        if (layers.isPresent()) {
            // PEFT refuses this pair as well: the expression already says which layers
            throw new LoraConfigurationException(
                    fields.where("layers_to_transform")
                            + " must be absent where target_modules is a string");
        }
        if (ALL_LINEAR.equalsIgnoreCase(expression)) {
            return new TargetModules(
                    true,
                    true,
                    Set.of(),
                    name -> !OUTPUT_LAYER.equals(lastSegment(name)),
                    excluded);
        }
        BoundedPattern pattern =
                new BoundedPattern(fields.where("target_modules"), expression, "", "");
        return new TargetModules(true, false, Set.of(), pattern::matchesAll, excluded);
    }

    /**
     * Returns whether the configuration says which modules it adapts.
     *
     * @return whether it does
     */
    public boolean isSpecified() {
        return specified;
    }

    /**
     * Returns whether a linear layer is adapted.
     *
     * @param module the layer's name
     * @return whether it is; with nothing specified, whether it may be
     * @throws LoraConfigurationException if an expression takes too long to match
     */
    public boolean contains(String module) {
        return !excluded.test(module) && included.test(module);
    }

    /**
     * Returns whether an embedding is adapted.
     *
     * @param module its name
     * @return whether it is; with nothing specified, whether it may be
     * @throws LoraConfigurationException if an expression takes too long to match
     */
    public boolean containsEmbedding(String module) {
        return !linearsOnly && contains(module);
    }

    /**
     * Returns the entries of a list that stand for none of the given modules.
     *
     * @param modules the modules' names
     * @return the entries; none where {@code target_modules} is no list
     */
    public List<String> entriesWithout(Collection<String> modules) {
        Set<String> unused = new LinkedHashSet<>(names);
        for (String module : modules) {
            unused.remove(module);
            suffixes(module).forEach(unused::remove);
        }
        return List.copyOf(unused);
    }

    private static Predicate<String> readExcluded(ConfigFields fields) {
        Optional<JsonElement> value = fields.value("exclude_modules");
        if (value.isEmpty() || !ConfigFields.isSet(value.get())) {
            return name -> false;
        }
        if (value.get() instanceof JsonArray array) {
            Set<String> names = new HashSet<>(fields.texts("exclude_modules", array, EXPECTED));
            return name -> names.contains(name) || endsInOneOf(names, name);
        }
        if (!(value.get() instanceof JsonPrimitive primitive) || !primitive.isString()) {
            throw fields.wrong("exclude_modules", EXPECTED, value.get());
        }
        return new BoundedPattern(fields.where("exclude_modules"), primitive.getAsString(), "", "")
                ::matchesAll;
    }

    /**
     * Returns what modules_to_save keeps from being adapted: PEFT takes its entries for
     * expressions.
     */
    private static Predicate<String> readSaved(ConfigFields fields) {
        List<BoundedPattern> patterns =
                fields.textList("modules_to_save", MAX_PATTERNS).stream()
                        .map(
                                entry ->
                                        new BoundedPattern(
                                                fields.where("modules_to_save"),
                                                entry,
                                                "(^|.*\\.)",
                                                "($|\\..*)"))
                        .toList();
        return name -> patterns.stream().anyMatch(each -> each.matchStart(name).isPresent());
    }

    private static Optional<Predicate<String>> readLayers(ConfigFields fields) {
        Optional<JsonElement> value = fields.value("layers_to_transform");
        List<BoundedPattern> patterns = readLayerPatterns(fields);
        Set<Integer> layers = new HashSet<>();
        if (value.isPresent() && value.get() instanceof JsonArray array) {
            array.forEach(element -> layers.add(fields.whole("layers_to_transform", element, 0)));
        } else if (value.isPresent()) {
            layers.add(fields.whole("layers_to_transform", value.get(), 0));
        }
        if (!layers.isEmpty()) {
            List<BoundedPattern> used = patterns.isEmpty() ? anyLayer(fields) : patterns;
            return Optional.of(name -> layers.contains(layerOf(name, used)));
        }
        if (!patterns.isEmpty()) {
            throw new LoraConfigurationException(
                    fields.where("layers_pattern")
                            + " must be absent where layers_to_transform names no layer");
        }
        return Optional.empty();
    }

    private static List<BoundedPattern> readLayerPatterns(ConfigFields fields) {
        Optional<JsonElement> value = fields.value("layers_pattern").filter(ConfigFields::isSet);
        List<String> expressions = new ArrayList<>();
        if (value.isPresent() && value.get() instanceof JsonArray array) {
            fields.checkCount("layers_pattern", array, MAX_PATTERNS);
            expressions.addAll(fields.texts("layers_pattern", array, EXPECTED));
        } else if (value.isPresent()) {
            expressions.add(fields.text("layers_pattern").orElseThrow());
        }
        return expressions.stream().map(expression -> layerPattern(fields, expression)).toList();
    }

    private static List<BoundedPattern> anyLayer(ConfigFields fields) {
        return List.of(layerPattern(fields, "[^.]*"));
    }

    private static BoundedPattern layerPattern(ConfigFields fields, String expression) {
        return new BoundedPattern(
                fields.where("layers_pattern"), expression, ".*\\.", "\\.(\\d+)\\.");
    }

    /** Returns the number of the layer that a module belongs to, -1 where it has none. */
    private static int layerOf(String module, List<BoundedPattern> patterns) {
        for (BoundedPattern pattern : patterns) {
            Optional<Matcher> match = pattern.matchStart(module);
            if (match.isPresent()) {
                return number(match.get().group(1));
            }
        }
        return -1;
    }

    private static int number(String digits) {
        try {
            return Integer.parseInt(digits);
        } catch (NumberFormatException e) {
            // more digits than any model has layers
            return -1;
        }
    }

    private static boolean endsInOneOf(Set<String> names, String module) {
        return suffixes(module).stream().anyMatch(names::contains);
    }

    /** Returns what stands behind each dot of a name. */
    private static List<String> suffixes(String module) {
        List<String> suffixes = new ArrayList<>();
        for (int dot = module.indexOf('.'); dot >= 0; dot = module.indexOf('.', dot + 1)) {
            suffixes.add(module.substring(dot + 1));
        }
        return suffixes;
    }

    private static String lastSegment(String module) {
        return module.substring(module.lastIndexOf('.') + 1);
    }
}
