/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.HostTensor;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The base model's own weights that PEFT saves beside an adapter ({@code save_embedding_layers}):
 * those of an adapted embedding or output layer as {@code <module>.base_layer.weight}, and of both
 * under their own names where the vocabulary was resized.
 *
 * <p>When PEFT loads the adapter they overwrite the base's, most often with the same numbers. Where
 * the output layer shares the embedding's weights, both are overwritten.
 */
final class BaseWeights {

    private static final String REPLACED = "replaced";

    private final Placement placement;
    private final Predicate<String> adapted;

    /**
     * Constructs a new {@code BaseWeights} instance.
     *
     * @param placement the tensors and the model
     * @param adapted whether a module has an adapter
     */
    BaseWeights(Placement placement, Predicate<String> adapted) {
        this.placement = placement;
        this.adapted = adapted;
    }

    /**
     * Places the weights.
     *
     * @param saved the modules that are replaced as a whole
     */
    void place(SavedModules saved) {
        ModelLayout layout = placement.layout();
        String output = SavedModules.outputLayer(layout);
        boolean tied = layout.embedding().flatMap(ModelLayout.Embedding::tiedTo).isPresent();
        for (LoraModule linear : layout.linears()) {
            if (!tied || !linear.name().equals(output)) {
                tensorOf(linear.name(), linear.name().equals(output), saved)
                        .ifPresent(tensor -> replaceLinear(linear, tensor, false));
            }
        }
        layout.embedding().ifPresent(embedding -> placeTied(embedding, saved));
    }

    private void placeTied(ModelLayout.Embedding embedding, SavedModules saved) {
        Optional<String> table = tensorOf(embedding.name(), true, saved);
        LoraModule output = embedding.tiedTo().flatMap(placement::linear).orElse(null);
        Optional<String> weight =
                output == null ? Optional.empty() : tensorOf(output.name(), true, saved);
        table.ifPresent(
                tensor -> replaceTable(embedding, tensor, weight.isEmpty() ? output : null));
        weight.ifPresent(tensor -> replaceLinear(output, tensor, table.isEmpty()));
        if (table.isPresent() && weight.isPresent()) {
            placement.requireEqual(table.get(), weight.get());
        }
    }

    private Optional<String> tensorOf(String module, boolean ofTokens, SavedModules saved) {
        String inner = module + ".base_layer.weight";
        if (placement.tensors().containsKey(inner)) {
            if (adapted.test(module)) {
                return Optional.of(inner);
            }
            placement.unused(inner, "is the weight of an adapted module, which this is not");
        }
        String plain = module + ".weight";
        if (ofTokens
                && placement.tensors().containsKey(plain)
                && !adapted.test(module)
                && !saved.contains(placement.layout(), module)) {
            placement.addIssue(
                    Severity.INFO,
                    "base-weight",
                    placement.show(plain)
                            + " takes the place of the model's own, as under PEFT, though"
                            + " modules_to_save does not name it");
            return Optional.of(plain);
        }
        return Optional.empty();
    }

    private void replaceTable(ModelLayout.Embedding embedding, String tensor, LoraModule output) {
        placement
                .part(embedding.name(), REPLACED, 0, 1)
                .require(
                        tensor,
                        "by the embedding's shape",
                        embedding.vocabulary(),
                        embedding.hidden())
                .apply(
                        (tensors, changes) -> {
                            HostTensor table = tensors.read(tensor);
                            changes.embedding().optWeight(table);
                            if (output != null) {
                                changes.linear(output.name()).addVariant(REPLACED).optWeight(table);
                            }
                        });
    }

    private void replaceLinear(LoraModule linear, String tensor, boolean withTable) {
        placement
                .part(linear.name(), REPLACED, 0, 1)
                .require(
                        tensor,
                        TargetedLayers.by(linear),
                        linear.outFeatures(),
                        linear.inFeatures())
                .apply(
                        (tensors, changes) -> {
                            HostTensor weight = tensors.read(tensor);
                            changes.linear(linear.name()).addVariant(REPLACED).optWeight(weight);
                            if (withTable) {
                                changes.embedding().optWeight(weight);
                            }
                        });
    }
}
