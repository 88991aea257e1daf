/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.TensorReader;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * VeRA (arXiv 2310.11454): {@code diag(b) B diag(d) A} with a random A and B that all layers share,
 * and trained vectors b and d of each. A layer takes the first of the columns of A and of the rows
 * of B that it needs.
 *
 * <p>The vectors are folded into B. Where A and B are not saved ({@code save_projection} false),
 * PEFT makes them anew from PyTorch's random generator; such adapters are refused.
 */
public final class VeraVariant implements AdapterVariant {

    private static final String A = "base_model.vera_A";
    private static final String B = "base_model.vera_B";
    private static final String OUT = "vera_lambda_b";
    private static final String INNER = "vera_lambda_d";

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("VERA");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        int rank = fields.whole("r", fields.required("r", "a positive integer"), 1);
        fields.leaveDropout("vera_dropout");
        fields.flag("fan_in_fan_out");
        fields.leave("projection_prng_key", "save_projection", "d_initial", "init_weights");
        BesideProducts beside =
                new BesideProducts(
                        SavedModules.read(fields),
                        TrainedBiases.read(fields, "vera_only"),
                        TrainedTokens.NONE);
        return placement -> {
            if (!placement.tensors().containsKey(A) || !placement.tensors().containsKey(B)) {
                throw new LoraVariantException(
                        placement.source()
                                + ": VeRA without its projections vera_A and vera_B is not"
                                + " supported, since only PyTorch's random generator makes the same"
                                + " ones; save it with save_projection=True");
            }
            TargetedLayers targeted = new TargetedLayers(placement, Set.of(OUT, INNER));
            Projections projections = new Projections(placement, targeted.layers().keySet(), rank);
            targeted.layers().keySet().forEach(layer -> place(placement, layer, projections));
            beside.place(placement, targeted::contains);
        };
    }

    private static void place(Placement placement, LoraModule layer, Projections projections) {
        String name = layer.name();
        int rank = projections.rank;
        String by = TargetedLayers.by(layer, rank);
        placement
                .part(name, "VeRA", rank, 1)
                .requireFactor(name + '.' + OUT, by, layer.outFeatures())
                .requireFactor(name + '.' + INNER, by, rank)
                .apply(
                        (tensors, changes) -> {
                            float[] out = tensors.read(name + '.' + OUT).toFloats();
                            float[] inner = tensors.read(name + '.' + INNER).toFloats();
                            projections.load(tensors);
                            Matrix b =
                                    projections
                                            .b
                                            .corner(layer.outFeatures(), rank)
                                            .scaleColumns(inner)
                                            .scaleRows(out);
                            changes.linear(name)
                                    .addVariant("VeRA")
                                    .optProduct(
                                            new LoraWeights(
                                                    rank,
                                                    1,
                                                    projections.first(layer.inFeatures()),
                                                    b.toTensor()));
                        });
    }

    /** The matrices that all layers share; read with the first of them. */
    private static final class Projections {

        private final int rank;
        private final Map<Integer, HostTensor> firstColumns = new HashMap<>();
        private Matrix a;
        private Matrix b;

        Projections(Placement placement, Set<LoraModule> layers, int rank) {
            this.rank = rank;
            long in = layers.stream().mapToInt(LoraModule::inFeatures).max().orElse(0);
            long out = layers.stream().mapToInt(LoraModule::outFeatures).max().orElse(0);
            TensorInfo first = placement.tensors().get(A);
            TensorInfo second = placement.tensors().get(B);
            String by = "by the configuration's rank " + rank + " and the largest of its layers";
            placement
                    .part("base_model", "VeRA", rank, 1)
                    .require(A, by, rank, atLeast(first, 1, in))
                    .require(B, by, atLeast(second, 0, out), rank);
        }

        /** A file may have been made with larger layers than those that it adapts. */
        private static long atLeast(TensorInfo tensor, int dimension, long least) {
            return tensor.shape().length == 2 ? Math.max(tensor.shape()[dimension], least) : least;
        }

        void load(TensorReader tensors) {
            if (a == null) {
                a = Matrix.of(tensors.read(A));
                b = Matrix.of(tensors.read(B));
            }
        }

        /** Returns the first columns of A, one tensor for all layers of so many inputs. */
        HostTensor first(int columns) {
            return firstColumns.computeIfAbsent(columns, width -> a.corner(rank, width).toTensor());
        }
    }
}
