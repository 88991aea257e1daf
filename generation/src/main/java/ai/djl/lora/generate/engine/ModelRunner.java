/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;

/** Runs the model over what was scheduled, and chooses tokens from the logits. */
final class ModelRunner {

    private static final int NOT_FINITE = -1;

    private final CausalLanguageModel model;
    private final NDManager manager;
    private final int vocabSize;

    /**
     * Constructs a new {@code ModelRunner} instance.
     *
     * @param model the model
     * @param manager the manager of what a step makes
     */
    ModelRunner(CausalLanguageModel model, NDManager manager) {
        this.model = model;
        this.manager = manager;
        this.vocabSize = model.getConfig().vocabSize();
    }

    /** The logits of a step, to be closed. */
    final class Logits implements AutoCloseable {

        private final NDManager stepManager;
        private final NDArray rows;
        private int[] greatest;

        private Logits(NDManager stepManager, NDArray rows) {
            this.stepManager = stepManager;
            this.rows = rows;
        }

        /**
         * Chooses the token of a row.
         *
         * @param row the row
         * @param sequence the sequence that the row belongs to, whose tokens before it were taken
         * @return the token
         * @throws LoraBackendException if the row's logits are not finite
         */
        Sample sample(int row, Sequence sequence) {
            Sampler sampler = sequence.sampler();
            if (sampler.needsLogits()) {
                try (NDArray one = ops().rows(rows, row, row + 1L)) {
                    return sampler.sample(one.toFloatArray(), 0, vocabSize, sequence.history());
                }
            }
            if (greatest == null) {
                greatest = ops().argmaxRows(rows);
            }
            if (greatest[row] < 0) {
                throw new LoraBackendException(
                        greatest[row] == NOT_FINITE
                                ? "a logit of the model is NaN or infinite; it must be finite"
                                : "the model's logits are all -Infinity; at least one must be"
                                        + " finite");
            }
            return new Sample(greatest[row], Float.NaN, List.of());
        }

        /** {@inheritDoc} */
        @Override
        public void close() {
            stepManager.close();
        }
    }

    private TensorOps ops() {
        return model.getLoraContext().getOps();
    }

    /** Runs a step. The caches have room, and have grown by their tokens when it ends. */
    Logits run(List<Work> works) {
        ForwardStep.Builder step = ForwardStep.builder();
        for (Work work : works) {
            Sequence sequence = work.sequence();
            int[] tokens = sequence.tokens(work.from(), work.from() + work.tokens());
            System.arraycopy(work.draft(), 0, tokens, work.count(), work.draft().length);
            int activeFrom =
                    Math.max(0, Math.min(tokens.length, sequence.activeFrom() - work.from()));
            step.addPart(sequence.cache(), sequence.mix(), activeFrom, work.outputs(), tokens);
        }
        NDManager stepManager = manager.newSubManager();
        boolean done = false;
        try {
            Logits logits = new Logits(stepManager, model.forward(stepManager, step.build()));
            done = true;
            return logits;
        } finally {
            if (!done) {
                stepManager.close();
            }
        }
    }
}
