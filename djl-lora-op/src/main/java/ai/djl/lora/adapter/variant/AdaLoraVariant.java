/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.tensor.HostTensor;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * AdaLoRA (arXiv 2303.10512): a product B diag(E) A whose ranks training has cut down, by module.
 *
 * <p>As in PEFT the scale is {@code lora_alpha / (init_r + 1e-5)}, whatever rank is left. Where
 * {@code rank_pattern} is there, the saved tensors have the rows that it calls true, and a module
 * may be left with none: it then is the base model's. E is folded into A.
 */
public final class AdaLoraVariant implements AdapterVariant {

    private static final String A = "lora_A";
    private static final String B = "lora_B";
    private static final String E = "lora_E";
    private static final double EPSILON = 1e-5;

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("ADALORA");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        Map<String, String> refused = new HashMap<>(LoraVariant.refused());
        refused.put("use_dora", "DoRA of AdaLoRA");
        refused.put("lora_bias", "a bias of B");
        refused.put("alora_invocation_tokens", "activated AdaLoRA");
        fields.refuseWhenSet(refused);
        LoraVariant.checkInitialisation(fields);
        LoraVariant.leaveTraining(fields);
        fields.leave(
                "r",
                "target_r",
                "tinit",
                "tfinal",
                "deltaT",
                "beta1",
                "beta2",
                "orth_reg_weight",
                "total_step",
                "use_rslora",
                "alpha_pattern");
        int initial = fields.whole("init_r", fields.required("init_r", "a positive integer"), 1);
        double alpha = fields.number("lora_alpha", fields.required("lora_alpha", "a number"));
        double scale = (alpha > 0 ? alpha : initial) / (initial + EPSILON);
        float narrow = RankScale.narrow(fields.file(), "every module", scale);
        BesideProducts beside =
                new BesideProducts(
                        SavedModules.read(fields),
                        TrainedBiases.read(fields, "lora_only"),
                        TrainedTokens.read(fields));
        return new Reader(initial, narrow, readRanks(fields, initial), beside);
    }

    /** Returns how many rows each module has left. */
    private static Map<String, Integer> readRanks(ConfigFields fields, int initial) {
        Map<String, Integer> ranks = new HashMap<>();
        fields.members("rank_pattern")
                .forEach(
                        (key, value) -> {
                            if (!key.endsWith('.' + E)) {
                                throw new LoraConfigurationException(
                                        fields.where("rank_pattern")
                                                + " has the key "
                                                + Message.quote(key)
                                                + ", expected the name of a module and .lora_E");
                            }
                            ranks.put(
                                    key.substring(0, key.length() - E.length() - 1),
                                    count(fields, "rank_pattern." + key, value, initial));
                        });
        return ranks;
    }

    private static int count(ConfigFields fields, String name, JsonElement value, int initial) {
        String expected = "a list of " + initial + " booleans, as many as init_r";
        if (!(value instanceof JsonArray array) || array.size() != initial) {
            throw fields.wrong(name, expected, value);
        }
        int count = 0;
        for (JsonElement element : array) {
            if (!(element instanceof JsonPrimitive primitive) || !primitive.isBoolean()) {
                throw fields.wrong(name, expected, value);
            }
            count += primitive.getAsBoolean() ? 1 : 0;
        }
        return count;
    }

    /** Reads the tensors of one adapter. */
    private record Reader(
            int initial, float scale, Map<String, Integer> ranks, BesideProducts beside)
            implements VariantReader {

        /** {@inheritDoc} */
        @Override
        public void place(Placement placement) {
            placement.addSetting("scale", LoraReader.bits(scale));
            TargetedLayers targeted = new TargetedLayers(placement, Set.of(A, B, E));
            targeted.layers().keySet().forEach(layer -> place(placement, layer));
            for (String module : ranks.keySet()) {
                if (!placement.tensors().containsKey(module + '.' + E)) {
                    placement.addIssue(
                            Severity.ERROR,
                            "config-rank",
                            "rank_pattern names "
                                    + Message.quote(module)
                                    + ", which has no tensor lora_E");
                }
            }
            beside.place(placement, targeted::contains);
        }

        private void place(Placement placement, LoraModule layer) {
            String name = layer.name();
            int rank = ranks.getOrDefault(name, initial);
            String by =
                    "by the rank "
                            + rank
                            + (ranks.containsKey(name) ? " of rank_pattern" : " of init_r")
                            + " and the module's shape ["
                            + layer.outFeatures()
                            + ", "
                            + layer.inFeatures()
                            + "]";
            placement
                    .part(name, "AdaLoRA", rank, scale)
                    .requireFactor(name + '.' + A, by, rank, layer.inFeatures())
                    .requireFactor(name + '.' + B, by, layer.outFeatures(), rank)
                    .requireFactor(name + '.' + E, by, rank, 1)
                    .apply(
                            (tensors, changes) -> {
                                HostTensor a = tensors.read(name + '.' + A);
                                HostTensor b = tensors.read(name + '.' + B);
                                HostTensor e = tensors.read(name + '.' + E);
                                if (rank > 0) {
                                    changes.linear(name)
                                            .addVariant("AdaLoRA")
                                            .optProduct(
                                                    new LoraWeights(
                                                            rank,
                                                            scale,
                                                            Matrix.of(a)
                                                                    .scaleRows(e.toFloats())
                                                                    .toTensor(),
                                                            b));
                                }
                            });
        }
    }
}
