/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * LoKr (LyCORIS, arXiv 2309.14859): the Kronecker product of two matrices, each of them whole or a
 * low-rank product.
 *
 * <p>With each matrix as a product, {@code kron(P Q, S T) = kron(P, S) kron(Q, T)}: a low-rank
 * product whose rank is that of both together. A whole matrix is the product of itself and the unit
 * matrix of its shorter side. Where both are whole the rank may be the layer's own; such adapters
 * are refused.
 */
public final class LokrVariant implements AdapterVariant {

    private static final String W1 = "lokr_w1";
    private static final String W2 = "lokr_w2";
    private static final Set<String> PARAMETERS =
            Set.of(W1, W1 + "_a", W1 + "_b", W2, W2 + "_a", W2 + "_b");

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("LOKR");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        RankScale scales = RankScale.read(fields, "alpha", false);
        fields.leaveDropout("rank_dropout");
        fields.leaveDropout("module_dropout");
        // which matrices are whole shows in the tensors
        fields.leave(
                "rank_dropout_scale",
                "init_weights",
                "use_effective_conv2d",
                "decompose_both",
                "decompose_factor");
        SavedModules saved = SavedModules.read(fields);
        return placement -> {
            placement
                    .byModule(PARAMETERS)
                    .keySet()
                    .forEach(
                            module ->
                                    placement.addSetting(
                                            "scale " + module,
                                            LoraReader.bits(scales.scaleOf(module))));
            TargetedLayers targeted = new TargetedLayers(placement, PARAMETERS);
            targeted.layers().forEach((layer, found) -> place(placement, layer, found, scales));
            BesideProducts.of(saved).place(placement, targeted::contains);
        };
    }

    private static void place(
            Placement placement,
            LoraModule layer,
            Map<String, TensorInfo> found,
            RankScale scales) {
        String name = layer.name();
        int rank = scales.rankOf(name);
        float scale = scales.scaleOf(name);
        int out = layer.outFeatures();
        int in = layer.inFeatures();
        LokrFactor one = LokrFactor.of(name + '.' + W1, found.keySet());
        LokrFactor two = LokrFactor.of(name + '.' + W2, found.keySet());
        int rows = share(out, one.rows(placement), two.rows(placement));
        int columns = share(in, one.columns(placement), two.columns(placement));
        String by = TargetedLayers.by(layer, rank) + " and of the other matrix";
        Placement.PartBuilder part = placement.part(name, "LoKr", rank, scale);
        one.require(part, by, rank, rows, columns);
        two.require(part, by, rank, out / rows, in / columns);
        if (part.isWhole()) {
            long expanded =
                    (long) one.rank(rank, rows, columns) * two.rank(rank, out / rows, in / columns);
            if (one.whole() && two.whole() && expanded >= Math.min(out, in)) {
                throw new LoraVariantException(
                        placement.source()
                                + ": LoKr of module "
                                + Message.quote(name)
                                + " has two whole matrices, whose product of shape ["
                                + out
                                + ", "
                                + in
                                + "] has the rank "
                                + expanded
                                + ": it is no low-rank product");
            }
            Expansion.check(placement, "LoKr", name, rank, expanded);
        }
        part.apply(
                (tensors, changes) -> {
                    Matrix[] first = one.load(tensors);
                    Matrix[] second = two.load(tensors);
                    Matrix b = first[0].kronecker(second[0]);
                    Matrix a = first[1].kronecker(second[1]);
                    changes.linear(name)
                            .addVariant("LoKr")
                            .optProduct(
                                    new LoraWeights(a.rows(), scale, a.toTensor(), b.toTensor()));
                });
    }

    /**
     * Returns the first matrix's part of a side of the layer. What does not divide the side is
     * wrong, whichever of the two it is; the other's says what it has to be.
     */
    private static int share(int side, long first, long second) {
        if (first > 0 && side % first == 0) {
            return (int) first;
        }
        return second > 0 && side % second == 0 ? (int) (side / second) : side;
    }
}
