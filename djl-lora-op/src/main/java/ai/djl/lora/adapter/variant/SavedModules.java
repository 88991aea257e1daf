/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The modules that an adapter replaces as a whole: {@code modules_to_save}.
 *
 * <p>As in PEFT ({@code _set_trainable} in {@code utils/other.py}) an entry stands for each module
 * whose name ends in it, whatever is before: {@code norm} stands for {@code input_layernorm} as
 * well. A module inside one that an entry stands for is replaced with it. With {@code
 * ensure_weight_tying} the output layer goes with the embedding.
 */
final class SavedModules {

    private static final String FIELD = "modules_to_save";
    private static final int MAX_ENTRIES = 1024;

    /** The name that transformers gives the output layer of its causal language models. */
    private static final String OUTPUT_LAYER = "lm_head";

    private final List<String> entries;
    private final boolean tied;

    private SavedModules(List<String> entries, boolean tied) {
        this.entries = entries;
        this.tied = tied;
    }

    /** Reads the fields. */
    static SavedModules read(ConfigFields fields) {
        return new SavedModules(
                fields.textList(FIELD, MAX_ENTRIES), fields.flag("ensure_weight_tying"));
    }

    /** Returns whether there are none. */
    boolean isEmpty() {
        return entries.isEmpty();
    }

    /** Returns the name of a model's output layer. */
    static String outputLayer(ModelLayout layout) {
        return layout.embedding().flatMap(ModelLayout.Embedding::tiedTo).orElse(OUTPUT_LAYER);
    }

    /** Returns whether a module is replaced. */
    boolean contains(ModelLayout layout, String module) {
        if (isNamed(module)) {
            return true;
        }
        return tied
                && module.equals(outputLayer(layout))
                && layout.embedding().filter(embedding -> isNamed(embedding.name())).isPresent();
    }

    private boolean isNamed(String module) {
        for (int end = module.length(); end > 0; end = module.lastIndexOf('.', end - 1)) {
            String name = module.substring(0, end);
            if (entries.stream().anyMatch(name::endsWith)) {
                return true;
            }
        }
        return false;
    }

    /** Places the modules' tensors. */
    void place(Placement placement) {
        ModelLayout layout = placement.layout();
        List<String> names = new ArrayList<>();
        layout.embedding().ifPresent(embedding -> names.add(embedding.name()));
        layout.linears().forEach(linear -> names.add(linear.name()));
        names.addAll(layout.norms().keySet());
        for (String name : names) {
            if (contains(layout, name)) {
                replace(placement, name);
            }
        }
        for (String entry : entries) {
            if (names.stream()
                    .noneMatch(name -> new SavedModules(List.of(entry), false).isNamed(name))) {
                placement.addIssue(
                        Severity.WARNING,
                        "config-targets",
                        "modules_to_save names "
                                + Message.quote(entry)
                                + ", which the model does not have");
            }
        }
        Map<String, Map<String, TensorInfo>> weights = placement.byModule(Set.of("weight"));
        weights.forEach(
                (name, found) -> {
                    if (placement.hasModule(name) && !contains(layout, name)) {
                        placement.unused(
                                found.get("weight").name(),
                                "belongs to a module that modules_to_save does not name");
                    }
                });
    }

    /** Places the tensors of one module, which replace it. */
    static void replace(Placement placement, String name) {
        LoraModule linear = placement.linear(name).orElse(null);
        Integer norm = placement.layout().norms().get(name);
        String weight = name + ".weight";
        if (linear != null) {
            replaceLinear(placement, linear);
        } else if (norm != null) {
            placement
                    .part(name, "replaced", 0, 1)
                    .require(weight, "by the norm's size", norm)
                    .apply((tensors, changes) -> changes.addNorm(name, tensors.read(weight)));
        } else {
            ModelLayout.Embedding embedding = placement.embedding(name).orElseThrow();
            placement
                    .part(name, "replaced", 0, 1)
                    .require(
                            weight,
                            "by the embedding's shape",
                            embedding.vocabulary(),
                            embedding.hidden())
                    .apply(
                            (tensors, changes) ->
                                    changes.embedding().optWeight(tensors.read(weight)));
        }
    }

    private static void replaceLinear(Placement placement, LoraModule linear) {
        String weight = linear.name() + ".weight";
        String bias = linear.name() + ".bias";
        boolean biased = placement.tensors().containsKey(bias);
        Placement.PartBuilder part =
                placement
                        .part(linear.name(), "replaced", 0, 1)
                        .require(
                                weight,
                                TargetedLayers.by(linear),
                                linear.outFeatures(),
                                linear.inFeatures());
        if (biased) {
            part.require(bias, TargetedLayers.by(linear), linear.outFeatures());
        }
        part.apply(
                (tensors, changes) -> {
                    changes.linear(linear.name())
                            .addVariant("replaced")
                            .optWeight(tensors.read(weight));
                    if (biased) {
                        changes.linear(linear.name()).optBias(tensors.read(bias));
                    }
                });
    }
}
