/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterChanges;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.TargetModules;
import ai.djl.lora.adapter.TensorReader;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;

/** Reads the tensors of a LoRA adapter. */
final class LoraReader implements VariantReader {

    private static final String A = "lora_A.weight";
    private static final String B = "lora_B.weight";
    private static final String BIAS = "lora_B.bias";
    private static final String MAGNITUDE = "lora_magnitude_vector";
    private static final String EMBEDDING_A = "lora_embedding_A";
    private static final String EMBEDDING_B = "lora_embedding_B";

    private final RankScale scales;
    private final boolean stabilised;
    private final boolean dora;
    private final boolean biased;
    private final int[] invocation;
    private final BesideProducts beside;

    LoraReader(
            RankScale scales,
            boolean stabilised,
            boolean dora,
            boolean biased,
            int[] invocation,
            BesideProducts beside) {
        this.scales = scales;
        this.stabilised = stabilised;
        this.dora = dora;
        this.biased = biased;
        this.invocation = invocation;
        this.beside = beside;
    }

    /** Returns whether the adapter acts from its invocation tokens on. */
    boolean isActivated() {
        return invocation.length > 0;
    }

    /** Returns whether there are products alone. */
    boolean isAlone() {
        return beside.isEmpty();
    }

    /** {@inheritDoc} */
    @Override
    public void place(Placement placement) {
        note(placement);
        Map<String, Map<String, TensorInfo>> tables =
                placement.byModule(Set.of(EMBEDDING_A, EMBEDDING_B));
        TargetedLayers targeted = new TargetedLayers(placement, Set.of(A, B, BIAS));
        targeted.layers().keySet().forEach(layer -> placeLinear(placement, layer));
        placeEmbedding(placement, tables);
        beside.place(placement, module -> targeted.contains(module) || tables.containsKey(module));
        explainMagnitudes(placement);
    }

    /** Notes what besides the tensors changes the answers. */
    private void note(Placement placement) {
        placement
                .byModule(Set.of(A, EMBEDDING_A))
                .keySet()
                .forEach(
                        module ->
                                placement.addSetting(
                                        "scale " + module, bits(scales.scaleOf(module))));
        placement.addSetting("dora", String.valueOf(dora));
        placement.addSetting("bias of B", String.valueOf(biased));
        if (isActivated()) {
            placement.addSetting("invocation", Arrays.toString(invocation));
        }
    }

    static String bits(float scale) {
        return Integer.toHexString(Float.floatToIntBits(scale));
    }

    private void placeLinear(Placement placement, LoraModule layer) {
        String name = layer.name();
        int rank = scales.rankOf(name);
        float scale = scales.scaleOf(name);
        String by = TargetedLayers.by(layer, rank);
        Placement.PartBuilder part =
                placement
                        .part(name, isActivated() ? "aLoRA" : variant(), rank, scale)
                        .requireFactor(name + '.' + A, by, rank, layer.inFeatures())
                        .requireFactor(name + '.' + B, by, layer.outFeatures(), rank);
        if (dora) {
            part.require(name + '.' + MAGNITUDE, by, layer.outFeatures());
        }
        if (biased) {
            part.require(name + '.' + BIAS, by, layer.outFeatures());
        }
        part.apply((tensors, changes) -> load(layer, rank, scale, tensors, changes));
    }

    private void load(
            LoraModule layer,
            int rank,
            float scale,
            TensorReader tensors,
            AdapterChanges.Builder changes) {
        String name = layer.name();
        changes.linear(name)
                .addVariant(variant())
                .optProduct(
                        new LoraWeights(
                                rank,
                                scale,
                                tensors.read(name + '.' + A),
                                tensors.read(name + '.' + B)));
        if (dora) {
            changes.linear(name).optMagnitude(tensors.read(name + '.' + MAGNITUDE));
        }
        if (biased) {
            float[] shift = tensors.read(name + '.' + BIAS).toFloats();
            for (int i = 0; i < shift.length; i++) {
                shift[i] *= scale;
            }
            changes.linear(name).optShift(HostTensor.of(shift, shift.length));
        }
        if (isActivated()) {
            changes.optInvocationTokens(invocation);
        }
    }

    private String variant() {
        if (dora) {
            return "DoRA";
        }
        return stabilised ? "rsLoRA" : "LoRA";
    }

    private void placeEmbedding(Placement placement, Map<String, Map<String, TensorInfo>> tables) {
        TargetModules targets = placement.config().targets();
        ModelLayout.Embedding embedding = placement.layout().embedding().orElse(null);
        tables.forEach(
                (name, found) -> {
                    String reason = "";
                    if (embedding == null || !embedding.name().equals(name)) {
                        reason =
                                placement.hasModule(name)
                                        ? "belongs to "
                                                + Message.quote(name)
                                                + ", which is no embedding"
                                        : "belongs to no module of the model"
                                                + placement.nearby(name);
                    } else if (!targets.containsEmbedding(name)) {
                        reason = "belongs to a module that target_modules does not name";
                    } else {
                        placeTable(placement, embedding);
                    }
                    for (TensorInfo tensor : found.values()) {
                        placement.unused(tensor.name(), reason);
                    }
                });
        if (embedding != null
                && targets.isSpecified()
                && targets.containsEmbedding(embedding.name())
                && !tables.containsKey(embedding.name())) {
            placement.missingModule(embedding.name());
        }
    }

    private void placeTable(Placement placement, ModelLayout.Embedding embedding) {
        String name = embedding.name();
        if (dora || biased || isActivated() || !beside.tokens().isEmpty()) {
            throw new LoraVariantException(
                    placement.source()
                            + ": LoRA of an embedding is not supported together with use_dora,"
                            + " lora_bias, alora_invocation_tokens or trainable_token_indices");
        }
        int rank = scales.rankOf(name);
        float scale = scales.scaleOf(name);
        String by =
                "by the configuration's rank "
                        + rank
                        + " and the embedding's shape ["
                        + embedding.vocabulary()
                        + ", "
                        + embedding.hidden()
                        + "]";
        placement
                .part(name, variant(), rank, scale)
                .requireFactor(name + '.' + EMBEDDING_A, by, rank, embedding.vocabulary())
                .requireFactor(name + '.' + EMBEDDING_B, by, embedding.hidden(), rank)
                .apply(
                        (tensors, changes) ->
                                changes.embedding()
                                        .optProduct(
                                                new LoraWeights(
                                                        rank,
                                                        scale,
                                                        tensors.read(name + '.' + EMBEDDING_A),
                                                        tensors.read(name + '.' + EMBEDDING_B))));
    }

    private void explainMagnitudes(Placement placement) {
        if (!dora) {
            placement
                    .byModule(Set.of(MAGNITUDE))
                    .forEach(
                            (name, found) ->
                                    placement.unused(
                                            found.get(MAGNITUDE).name(),
                                            "is DoRA's, and the configuration's use_dora is not"
                                                    + " true"));
        }
        if (!biased) {
            placement
                    .byModule(Set.of(BIAS))
                    .forEach(
                            (name, found) ->
                                    placement.unused(
                                            found.get(BIAS).name(),
                                            "is a bias of B, and the configuration's lora_bias is"
                                                    + " not true"));
        }
    }
}
