/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.lora.model.KvCache;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Optional;

/** Runs a model on a golden file's rows and says whether its logits are the file's. */
public final class GoldenRun {

    private static final double DEFAULT_TOLERANCE = 1e-4;
    private static final double DEFAULT_RMS_TOLERANCE = 0.02;

    private GoldenRun() {}

    /**
     * Runs a model.
     *
     * @param block the model
     * @param golden the golden file, which fits the model
     * @param slot the slot of the adapter to run with, or {@link ai.djl.lora.op.BatchPlan#BASE}
     * @param progress whom to tell how far it has come
     * @return how far the logits lie from the file's
     */
    public static Comparison compare(
            CausalLanguageModel block, GoldenLogits golden, int slot, Progress progress) {
        Comparison comparison = new Comparison();
        for (int row = 0; row < golden.batch(); ++row) {
            progress.update("row %d of %d", row + 1, golden.batch());
            try (NDManager manager = block.getLoraContext().getManager().newSubManager();
                    KvCache cache = block.newKvCache(manager)) {
                ForwardStep step =
                        ForwardStep.builder()
                                .addSequence(cache, slot, golden.tokens(row))
                                .optAllPositions(true)
                                .build();
                NDArray logits = block.forward(manager, step);
                comparison.add(logits.toFloatArray(), golden.logits(row), golden.vocabulary());
            }
        }
        return comparison;
    }

    /**
     * Says whether a comparison passes.
     *
     * @param comparison the comparison
     * @param tolerance the largest absolute difference that passes; where there is none, 1e-4, or
     *     an RMS error of 2 % of the logits' standard deviation where numbers were rounded
     * @param rounds whether numbers were rounded to fewer than float32's 24 bits
     * @return the verdict
     */
    public static Verdict judge(Comparison comparison, Optional<Double> tolerance, boolean rounds) {
        if (tolerance.isEmpty() && rounds) {
            return new Verdict(
                    comparison.relativeRmsError() <= DEFAULT_RMS_TOLERANCE,
                    "RMS error at most 2 % of the standard deviation");
        }
        double limit = tolerance.orElse(DEFAULT_TOLERANCE);
        return new Verdict(
                comparison.largestAbsolute() <= limit, "absolute difference at most " + limit);
    }

    /**
     * Whether a comparison passes.
     *
     * @param passes whether it does
     * @param criterion by what it was judged
     */
    public record Verdict(boolean passes, String criterion) {}
}
