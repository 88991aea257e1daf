/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.ModuleReport;
import ai.djl.lora.format.AdapterFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * In what two adapters differ, without their model.
 *
 * @param firstRevision the first adapter's revision
 * @param secondRevision the second adapter's revision
 * @param fields the fields of the configurations that differ and can change numbers
 * @param modules the modules in which they differ, in the first adapter's order
 * @param equalModules the number of modules to which both do the same
 */
public record AdapterDiff(
        String firstRevision,
        String secondRevision,
        List<ConfigDifference> fields,
        List<ModuleDifference> modules,
        int equalModules) {

    /** What reports call virtual tokens, which belong to no module. */
    private static final String PROMPT = "prompt";

    private static final String PREFIX = "prefix";

    private static final EmbeddingChange NONE = new EmbeddingChange(null, new int[0], null, null);

    /**
     * Compares two adapters.
     *
     * @param first the first adapter's folder or file
     * @param second the second adapter's folder or file
     * @return in what they differ
     * @throws LoraConfigurationException if a file is missing or not what it must be
     * @throws LoraVariantException if an adapter is of a kind that is not supported
     * @throws LoraCompatibilityException if an adapter does not agree with itself
     */
    public static AdapterDiff of(Path first, Path second) {
        LoadingPolicy policy = LoadingPolicy.STRICT;
        try (AdapterFiles one = AdapterFiles.open(first, policy.limits());
                AdapterFiles other = AdapterFiles.open(second, policy.limits())) {
            LoraAdapter a = AdapterLoader.load(one, InferredLayout.of(one), policy);
            LoraAdapter b = AdapterLoader.load(other, InferredLayout.of(other), policy);
            Map<String, ModuleReport> reportsOfA = byName(a);
            Map<String, ModuleReport> reportsOfB = byName(b);
            Set<String> names = new LinkedHashSet<>(reportsOfA.keySet());
            names.addAll(reportsOfB.keySet());
            List<ModuleDifference> found = new ArrayList<>();
            for (String name : names) {
                ModuleDifference difference =
                        new ModuleDifference(
                                name,
                                Optional.ofNullable(reportsOfA.get(name)),
                                Optional.ofNullable(reportsOfB.get(name)),
                                largest(name, a.changes(), b.changes()));
                if (!difference.largest().isEmpty()
                        || !isSame(difference.first(), difference.second())) {
                    found.add(difference);
                }
            }
            return new AdapterDiff(
                    a.revision(),
                    b.revision(),
                    ConfigDifference.of(one.config(), other.config()),
                    List.copyOf(found),
                    names.size() - found.size());
        }
    }

    /**
     * Returns whether both are the same adapter, whatever their files are.
     *
     * @return whether they have the same revision
     */
    public boolean isEqual() {
        return firstRevision.equals(secondRevision);
    }

    private static Map<String, ModuleReport> byName(LoraAdapter adapter) {
        Map<String, ModuleReport> reports = new LinkedHashMap<>();
        adapter.report().modules().forEach(module -> reports.put(module.name(), module));
        return reports;
    }

    private static boolean isSame(Optional<ModuleReport> one, Optional<ModuleReport> other) {
        return one.isPresent() && one.equals(other);
    }

    private static Map<String, OptionalDouble> largest(
            String module, AdapterChanges a, AdapterChanges b) {
        PartDifferences parts = new PartDifferences();
        if (PROMPT.equals(module)) {
            parts.compare(PROMPT, a.prompt().orElse(null), b.prompt().orElse(null));
        } else if (PREFIX.equals(module)) {
            parts.compare(PREFIX, a.prefix().orElse(null), b.prefix().orElse(null));
        } else if (has(a.norms(), b.norms(), module)) {
            parts.compare("weight", a.norms().get(module), b.norms().get(module));
        } else if (has(a.linears(), b.linears(), module)) {
            parts.compare(a.linears().get(module), b.linears().get(module));
        } else {
            parts.compare(a.embedding().orElse(NONE), b.embedding().orElse(NONE));
        }
        return parts.largest();
    }

    private static boolean has(Map<String, ?> one, Map<String, ?> other, String module) {
        return one.containsKey(module) || other.containsKey(module);
    }
}
