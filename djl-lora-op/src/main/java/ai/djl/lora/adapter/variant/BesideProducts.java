/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.Placement;
import java.util.function.Predicate;

/**
 * What PEFT may save beside what a method itself trains.
 *
 * @param saved modules that are replaced as a whole
 * @param biases biases that are replaced
 * @param tokens rows of the embedding that are replaced
 */
record BesideProducts(SavedModules saved, TrainedBiases biases, TrainedTokens tokens) {

    /** Returns what methods save that know of no biases and no trained tokens. */
    static BesideProducts of(SavedModules saved) {
        return new BesideProducts(saved, TrainedBiases.NONE, TrainedTokens.NONE);
    }

    /** Returns whether the configuration asks for nothing of this. */
    boolean isEmpty() {
        return saved.isEmpty() && biases.isNone() && tokens.isEmpty();
    }

    /**
     * Places what there is.
     *
     * @param placement the tensors and the model
     * @param adapted whether a module has an adapter
     */
    void place(Placement placement, Predicate<String> adapted) {
        saved.place(placement);
        biases.place(placement, saved, adapted);
        tokens.place(placement);
        new BaseWeights(placement, adapted).place(saved);
    }
}
