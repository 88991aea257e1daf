/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.nn.Block;
import ai.djl.util.Pair;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One adapter merged into the base weights, for a server that uses it alone: a step then pays
 * nothing for it.
 *
 * <p>The merged weights are {@code W + scale * B A}, summed in float32 and rounded once. The base
 * weights are kept beside them and put back by {@link #close}, bit for bit. While an adapter is
 * merged, steps that use another one, a stack or the base model are refused.
 */
public final class MergedAdapter implements AutoCloseable {

    private final AdaptedBlock model;
    private final AdapterLease lease;
    private final List<LoraLinear> layers;
    private boolean closed;

    private MergedAdapter(AdaptedBlock model, AdapterLease lease, List<LoraLinear> layers) {
        this.model = model;
        this.lease = lease;
        this.layers = layers;
    }

    /**
     * Merges an adapter. Waits for running steps.
     *
     * @param model the model
     * @param name the name of a registered adapter
     * @return the merged adapter; closing it unmerges
     * @throws LoraConfigurationException if there is no adapter of that name, or another is merged
     * @throws LoraVariantException if it is more than low-rank products
     * @throws ai.djl.lora.LoraException if its files cannot be read again or have changed
     */
    public static MergedAdapter merge(AdaptedBlock model, String name) {
        AdapterLease lease = model.getAdapters().acquire(name);
        try {
            LoraAdapter adapter = model.getAdapters().reload(lease);
            List<LoraLinear> layers = layersOf(model);
            if (!adapter.changes().isStackable()) {
                throw new LoraVariantException(
                        "Adapter \""
                                + name
                                + "\" is "
                                + adapter.changes().variants()
                                + "; only plain low-rank products can be merged");
            }
            Map<String, LinearChange> changes = adapter.changes().linears();
            Set<String> left = new HashSet<>(changes.keySet());
            layers.forEach(layer -> left.remove(layer.getModule().name()));
            if (!left.isEmpty()) {
                throw new LoraConfigurationException(
                        "Adapter \"" + name + "\" cannot be merged: no layer holds " + left);
            }
            model.getLoraContext().runAlone(() -> mergeAll(layers, lease.getSlot(), changes));
            return new MergedAdapter(model, lease, layers);
        } catch (RuntimeException e) {
            lease.close();
            throw e;
        }
    }

    private static void mergeAll(
            List<LoraLinear> layers, int slot, Map<String, LinearChange> changes) {
        for (LoraLinear layer : layers) {
            if (layer.isMerged()) {
                throw new LoraConfigurationException(
                        "An adapter is merged already; unmerge it first");
            }
        }
        List<LoraLinear> done = new ArrayList<>();
        try {
            for (LoraLinear layer : layers) {
                LinearChange change = changes.get(layer.getModule().name());
                layer.merge(slot, change == null ? null : change.product());
                done.add(layer);
            }
        } catch (RuntimeException e) {
            done.forEach(LoraLinear::unmerge);
            throw e;
        }
    }

    private static List<LoraLinear> layersOf(Block block) {
        List<LoraLinear> layers = new ArrayList<>();
        for (Pair<String, Block> child : block.getChildren()) {
            if (child.getValue() instanceof LoraLinear layer) {
                layers.add(layer);
            } else {
                layers.addAll(layersOf(child.getValue()));
            }
        }
        return layers;
    }

    /**
     * Returns the lease of the merged adapter, whose slot is the one that steps may use.
     *
     * @return the lease, owned by this object
     */
    public AdapterLease getLease() {
        return lease;
    }

    /** Puts the base weights back. Waits for running steps. */
    @Override
    public void close() {
        model.getLoraContext()
                .runAlone(
                        () -> {
                            if (!closed) {
                                closed = true;
                                layers.forEach(LoraLinear::unmerge);
                                lease.close();
                            }
                        });
    }
}
