/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.BoundedPattern;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * IA3 (arXiv 2205.05638): factors of a layer's outputs, its bias in them, or of a feed-forward
 * layer's inputs.
 *
 * <p>As in PEFT a layer is a feed-forward one if its name ends in an entry of {@code
 * feedforward_modules}, whatever is before, or matches it where it is a string.
 */
public final class Ia3Variant implements AdapterVariant {

    private static final String FIELD = "feedforward_modules";
    private static final String PARAMETER = "ia3_l";
    private static final int MAX_ENTRIES = 1024;

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("IA3");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        fields.flag("fan_in_fan_out");
        fields.leave("init_ia3_weights");
        Predicate<String> forward = readForward(fields);
        SavedModules saved = SavedModules.read(fields);
        return placement -> {
            TargetedLayers targeted = new TargetedLayers(placement, Set.of(PARAMETER));
            placement
                    .byModule(Set.of(PARAMETER))
                    .keySet()
                    .forEach(
                            module ->
                                    placement.addSetting(
                                            "feedforward " + module,
                                            String.valueOf(forward.test(module))));
            targeted.layers()
                    .keySet()
                    .forEach(layer -> place(placement, layer, forward.test(layer.name())));
            BesideProducts.of(saved).place(placement, targeted::contains);
        };
    }

    private static Predicate<String> readForward(ConfigFields fields) {
        JsonElement value = fields.required(FIELD, "a string or a list of strings");
        if (value instanceof JsonArray array) {
            fields.checkCount(FIELD, array, MAX_ENTRIES);
            List<String> names = fields.texts(FIELD, array, "a string or a list of strings");
            return module -> names.stream().anyMatch(module::endsWith);
        }
        String expression =
                fields.text(FIELD)
                        .orElseThrow(
                                () ->
                                        new LoraConfigurationException(
                                                fields.where(FIELD) + " is missing"));
        return new BoundedPattern(fields.where(FIELD), expression, "", "")::matchesAll;
    }

    private static void place(Placement placement, LoraModule layer, boolean forward) {
        String name = layer.name();
        String tensor = name + '.' + PARAMETER;
        String by = (forward ? "as a feed-forward layer " : "") + TargetedLayers.by(layer);
        long[] shape =
                forward ? new long[] {1, layer.inFeatures()} : new long[] {layer.outFeatures(), 1};
        placement
                .part(name, "IA3", 0, 1)
                .require(tensor, by, shape)
                .apply(
                        (tensors, changes) -> {
                            HostTensor read = tensors.read(tensor);
                            HostTensor factors =
                                    new HostTensor(
                                            read.type(), new long[] {read.elements()}, read.data());
                            changes.linear(name).addVariant("IA3");
                            if (forward) {
                                changes.linear(name).optInputScale(factors);
                            } else {
                                changes.linear(name).optOutputScale(factors);
                            }
                        });
    }
}
