/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import com.google.gson.JsonPrimitive;
import java.util.List;
import java.util.function.Predicate;

/**
 * The biases of the base model that an adapter replaces: the configuration's {@code bias}.
 *
 * <p>PEFT saves those of adapted layers as {@code <module>.base_layer.bias} and others as {@code
 * <module>.bias}, and with {@code lora_only}, though they were trained, none at all ({@code
 * get_peft_model_state_dict} looks for them under the second name). What it does not save is not
 * there when it loads, so that the base's own bias counts.
 */
final class TrainedBiases {

    /** For methods that train none. */
    static final TrainedBiases NONE = new TrainedBiases("none");

    private static final String FIELD = "bias";

    private final String setting;

    private TrainedBiases(String setting) {
        this.setting = setting;
    }

    /**
     * Reads the field.
     *
     * @param fields the configuration
     * @param only how the method calls the biases of its own layers, such as {@code lora_only}
     */
    static TrainedBiases read(ConfigFields fields, String only) {
        String setting = fields.text(FIELD).orElse("none");
        if (!List.of("none", "all", only).contains(setting)) {
            throw fields.wrong(
                    FIELD, "\"none\", \"all\" or \"" + only + '"', new JsonPrimitive(setting));
        }
        if (setting.equals(only)) {
            fields.warn(
                    "config-bias",
                    "bias is "
                            + Message.quote(only)
                            + ": PEFT does not save those biases, and answers with the base"
                            + " model's own");
        }
        return new TrainedBiases(setting);
    }

    /** Returns whether none was trained. */
    boolean isNone() {
        return "none".equals(setting);
    }

    /**
     * Places the biases.
     *
     * @param placement the tensors and the model
     * @param saved the modules that are replaced as a whole, with their biases
     * @param adapted whether a layer has an adapter
     */
    void place(Placement placement, SavedModules saved, Predicate<String> adapted) {
        for (LoraModule linear : placement.layout().linears()) {
            String name = linear.name();
            String inner = name + ".base_layer.bias";
            String plain = name + ".bias";
            if (placement.tensors().containsKey(inner)) {
                if (isNone()) {
                    placement.unused(inner, "is a bias, and the configuration's bias is \"none\"");
                } else if (adapted.test(name)) {
                    replace(placement, linear, inner);
                } else {
                    placement.unused(inner, "is the bias of an adapted module, which this is not");
                }
            }
            if (placement.tensors().containsKey(plain)
                    && !saved.contains(placement.layout(), name)) {
                if (adapted.test(name)) {
                    placement.unused(
                            plain,
                            "is a bias under a name that PEFT does not read for an adapted module,"
                                    + " expected base_layer.bias");
                } else if ("all".equals(setting)) {
                    replace(placement, linear, plain);
                } else {
                    placement.unused(
                            plain,
                            "is a bias, and the configuration's bias is " + Message.quote(setting));
                }
            }
        }
    }

    private static void replace(Placement placement, LoraModule linear, String tensor) {
        placement
                .part(linear.name(), "bias", 0, 1)
                .require(tensor, TargetedLayers.by(linear), linear.outFeatures())
                .apply(
                        (tensors, changes) ->
                                changes.linear(linear.name())
                                        .addVariant("bias")
                                        .optBias(tensors.read(tensor)));
    }
}
