/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.ModulePattern;
import ai.djl.lora.json.Message;
import com.google.gson.JsonElement;

/**
 * Ranks and alphas by module, and the scales that follow from them: {@code alpha / r}, or {@code
 * alpha / sqrt(r)} for rsLoRA (arXiv 2312.03732), with the alpha and the rank of the module.
 */
final class RankScale {

    private final String file;
    private final int rank;
    private final double alpha;
    private final boolean stabilised;
    private final ModulePattern<Integer> ranks;
    private final ModulePattern<Double> alphas;

    private RankScale(ConfigFields fields, String alphaField, boolean stabilised) {
        file = fields.file();
        rank = fields.whole("r", fields.required("r", "a positive integer"), 1);
        alpha = readAlpha(fields, alphaField, fields.required(alphaField, "a number"));
        this.stabilised = stabilised;
        ranks =
                ModulePattern.read(
                        fields, "rank_pattern", (name, value) -> fields.whole(name, value, 1));
        alphas =
                ModulePattern.read(
                        fields, "alpha_pattern", (name, value) -> readAlpha(fields, name, value));
    }

    /**
     * Reads {@code r}, alpha, {@code rank_pattern} and {@code alpha_pattern}.
     *
     * @param fields the configuration
     * @param alphaField what alpha is called
     * @param stabilised whether scales are rsLoRA's
     * @return the ranks and scales
     */
    static RankScale read(ConfigFields fields, String alphaField, boolean stabilised) {
        return new RankScale(fields, alphaField, stabilised);
    }

    /** Returns a module's rank, at least 1. */
    int rankOf(String module) {
        return ranks.find(module, rank);
    }

    /** Returns the factor of a module's product, as PyTorch narrows it. */
    float scaleOf(String module) {
        int moduleRank = rankOf(module);
        double divisor = stabilised ? Math.sqrt(moduleRank) : moduleRank;
        return narrow(
                file, "module " + Message.quote(module), alphas.find(module, alpha) / divisor);
    }

    /** Returns a factor as float32, which must hold it. */
    static float narrow(String file, String of, double scale) {
        float narrow = (float) scale;
        if (narrow == 0 || Float.isInfinite(narrow)) {
            throw new LoraConfigurationException(
                    file + ": the scale of " + of + " is " + scale + ", which float32 cannot hold");
        }
        return narrow;
    }

    /** Reads an alpha. */
    static double readAlpha(ConfigFields fields, String name, JsonElement value) {
        double number = fields.number(name, value);
        if (number == 0) {
            // the adapter would change nothing, and the base answer would pass for an adapted one
            throw fields.wrong(name, "a number other than 0", value);
        }
        return number;
    }
}
