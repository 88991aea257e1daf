/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.op.LoraModule;
import java.util.List;
import java.util.Set;

/**
 * LoHa (arXiv 2108.06098): the product, element by element, of two low-rank products.
 *
 * <p>Of the two ranks r it is a low-rank product itself, of rank r * r: {@code (P Q) * (S T) = sum
 * over i, j of (P_i * S_j) (Q_i * T_j)} with the columns of P and S and the rows of Q and T.
 */
public final class LohaVariant implements AdapterVariant {

    private static final String W1A = "hada_w1_a";
    private static final String W1B = "hada_w1_b";
    private static final String W2A = "hada_w2_a";
    private static final String W2B = "hada_w2_b";

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("LOHA");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        RankScale scales = RankScale.read(fields, "alpha", false);
        fields.leaveDropout("rank_dropout");
        fields.leaveDropout("module_dropout");
        // says how convolutions are taken apart
        fields.leave("init_weights", "use_effective_conv2d");
        SavedModules saved = SavedModules.read(fields);
        return placement -> {
            placement
                    .byModule(Set.of(W1A))
                    .keySet()
                    .forEach(
                            module ->
                                    placement.addSetting(
                                            "scale " + module,
                                            LoraReader.bits(scales.scaleOf(module))));
            TargetedLayers targeted = new TargetedLayers(placement, Set.of(W1A, W1B, W2A, W2B));
            targeted.layers().keySet().forEach(layer -> place(placement, layer, scales));
            BesideProducts.of(saved).place(placement, targeted::contains);
        };
    }

    private static void place(Placement placement, LoraModule layer, RankScale scales) {
        String name = layer.name();
        int rank = scales.rankOf(name);
        float scale = scales.scaleOf(name);
        String by = TargetedLayers.by(layer, rank);
        int out = layer.outFeatures();
        int in = layer.inFeatures();
        Placement.PartBuilder part =
                placement
                        .part(name, "LoHa", rank, scale)
                        .requireFactor(name + '.' + W1A, by, out, rank)
                        .requireFactor(name + '.' + W1B, by, rank, in)
                        .requireFactor(name + '.' + W2A, by, out, rank)
                        .requireFactor(name + '.' + W2B, by, rank, in);
        if (part.isWhole()) {
            Expansion.check(placement, "LoHa", name, rank, (long) rank * rank);
        }
        part.apply(
                (tensors, changes) -> {
                    Matrix b =
                            Matrix.of(tensors.read(name + '.' + W1A))
                                    .columnProducts(Matrix.of(tensors.read(name + '.' + W2A)));
                    Matrix a =
                            Matrix.of(tensors.read(name + '.' + W1B))
                                    .rowProducts(Matrix.of(tensors.read(name + '.' + W2B)));
                    changes.linear(name)
                            .addVariant("LoHa")
                            .optProduct(
                                    new LoraWeights(a.rows(), scale, a.toTensor(), b.toTensor()));
                });
    }
}
