/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.adapter.TargetModules;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The linear layers that an adapter has tensors for and that its configuration names. */
final class TargetedLayers {

    private final Placement placement;
    private final Map<LoraModule, Map<String, TensorInfo>> layers = new LinkedHashMap<>();

    /**
     * Finds the layers. Tensors of other modules are noted as unused, layers without tensors as
     * missing.
     *
     * @param placement the tensors and the model
     * @param parameters the parameters that the method adds to a layer
     */
    TargetedLayers(Placement placement, Set<String> parameters) {
        this.placement = placement;
        Map<String, Map<String, TensorInfo>> modules = placement.byModule(parameters);
        TargetModules targets = placement.config().targets();
        modules.forEach((name, found) -> place(name, found, targets));
        List<String> names = new ArrayList<>();
        for (LoraModule layer : placement.layout().linears()) {
            names.add(layer.name());
            if (targets.isSpecified()
                    && !modules.containsKey(layer.name())
                    && targets.contains(layer.name())) {
                placement.missingModule(layer.name());
            }
        }
        warn(targets, names);
    }

    private void place(String name, Map<String, TensorInfo> found, TargetModules targets) {
        LoraModule layer = placement.linear(name).orElse(null);
        String reason;
        if (layer == null) {
            reason =
                    placement.hasModule(name)
                            ? "belongs to " + Message.quote(name) + ", which is no linear layer"
                            : "belongs to no module of the model" + placement.nearby(name);
        } else if (!targets.contains(name)) {
            reason = "belongs to a module that target_modules does not name";
        } else {
            layers.put(layer, found);
            return;
        }
        found.values().forEach(tensor -> placement.unused(tensor.name(), reason));
    }

    private void warn(TargetModules targets, List<String> names) {
        placement.layout().embedding().ifPresent(embedding -> names.add(embedding.name()));
        if (!targets.isSpecified()) {
            placement.addIssue(
                    Severity.WARNING,
                    "config-targets",
                    "target_modules is absent: what ought to be adapted is not known");
        }
        for (String entry : targets.entriesWithout(names)) {
            placement.addIssue(
                    Severity.WARNING,
                    "config-targets",
                    "target_modules names "
                            + Message.quote(entry)
                            + ", which the model does not have");
        }
    }

    /** Returns the layers and their tensors by parameter, in the file's order. */
    Map<LoraModule, Map<String, TensorInfo>> layers() {
        return layers;
    }

    /** Returns whether a layer is among them. */
    boolean contains(String module) {
        return placement.linear(module).filter(layers::containsKey).isPresent();
    }

    /** Returns what a tensor's shape follows from, for messages. */
    static String by(LoraModule layer) {
        return "by the module's shape [" + layer.outFeatures() + ", " + layer.inFeatures() + "]";
    }

    /** Returns what a tensor's shape follows from, for messages. */
    static String by(LoraModule layer, int rank) {
        return "by the configuration's rank "
                + rank
                + " and the module's shape ["
                + layer.outFeatures()
                + ", "
                + layer.inFeatures()
                + "]";
    }
}
