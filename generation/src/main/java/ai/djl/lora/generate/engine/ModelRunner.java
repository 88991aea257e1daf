/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.model.StepStates;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Runs the model over what was scheduled, and chooses tokens from the logits. */
final class ModelRunner {

    private static final int NOT_FINITE = -1;

    private final CausalLanguageModel model;
    private final NDManager manager;
    private final int vocabSize;
    private final int scoredRows;

    /**
     * Constructs a new {@code ModelRunner} instance.
     *
     * @param model the model
     * @param manager the manager of what a step makes
     * @param scoringBytes how much memory the logits of texts that are scored take at a time
     */
    ModelRunner(CausalLanguageModel model, NDManager manager, long scoringBytes) {
        this.model = model;
        this.manager = manager;
        this.vocabSize = model.getConfig().vocabSize();
        long rows = scoringBytes / ((long) Float.BYTES * vocabSize);
        this.scoredRows = (int) Math.max(1, Math.min(rows, Integer.MAX_VALUE));
    }

    /** The logits of a step, to be closed. */
    final class Logits implements AutoCloseable {

        private final NDManager stepManager;
        private final NDArray rows;
        private final Readings readings;
        private int[] greatest;

        /**
         * Constructs a new {@code Logits} instance.
         *
         * @param stepManager the manager of the logits
         * @param rows those of the rows that a token is chosen from
         * @param readings what was computed for texts that are read, or null where there are none
         */
        private Logits(NDManager stepManager, NDArray rows, Readings readings) {
            this.stepManager = stepManager;
            this.rows = rows;
            this.readings = readings;
        }

        /**
         * Chooses the token of a row.
         *
         * @param wanted the row, among all that something is wanted of
         * @param sequence the sequence that the row belongs to, whose tokens before it were taken
         * @return the token
         * @throws LoraBackendException if the row's logits are not finite
         */
        Sample sample(int wanted, Sequence sequence) {
            int row = readings == null ? wanted : readings.placeOf(wanted);
            Sampler sampler = sequence.sampler();
            if (sampler.needsLogits()) {
                try (NDArray one = ops().rows(rows, row, row + 1L)) {
                    return sampler.sample(one.toFloatArray(), 0, vocabSize, sequence.history());
                }
            }
            if (greatest == null) {
                greatest = ops().argmaxRows(rows);
            }
            requireFinite(greatest[row]);
            return new Sample(greatest[row], Float.NaN, List.of());
        }

        /**
         * Hands a text's rows to its reader.
         *
         * @param work what was run
         * @param firstRow the first of its rows, among all that something is wanted of
         * @throws LoraBackendException if something is not finite
         */
        void read(Work work, int firstRow) {
            readings.read(work, firstRow);
        }

        /** {@inheritDoc} */
        @Override
        public void close() {
            stepManager.close();
        }
    }

    private static void requireFinite(int greatest) {
        if (greatest < 0) {
            throw new LoraBackendException(
                    greatest == NOT_FINITE
                            ? "a logit of the model is NaN or infinite; it must be finite"
                            : "the model's logits are all -Infinity; at least one must be"
                                    + " finite");
        }
    }

    /** What a step computed for texts that are read. */
    private static final class Readings {

        private final StepStates states;

        /** For each row that something is wanted of, which one it is of its kind. */
        private final int[] places;

        private final float[] logProbs;
        private final int[] greatest;

        Readings(StepStates states, int[] places, int scored) {
            this.states = states;
            this.places = places;
            this.logProbs = new float[scored];
            this.greatest = new int[scored];
        }

        int placeOf(int row) {
            return places[row];
        }

        void read(Work work, int firstRow) {
            PromptReader<?> reader = work.sequence().reader();
            int first = work.from() + work.count() - work.outputs();
            if (reader instanceof ScoreReader scores) {
                for (int i = 0; i < work.outputs(); ++i) {
                    int place = places[firstRow + i];
                    requireFinite(greatest[place]);
                    scores.take(first + i, logProbs[place], greatest[place]);
                }
            } else if (work.outputs() > 0) {
                float[] values = states.values(firstRow, firstRow + work.outputs());
                int size = values.length / work.outputs();
                for (int i = 0; i < work.outputs(); ++i) {
                    ((EmbeddingReader) reader).take(first + i, values, i * size);
                }
            }
        }
    }

    /** Returns how many rows of logits a step has at a time. */
    int logitRows(List<Work> works) {
        int chosen = 0;
        int scored = 0;
        for (Work work : works) {
            PromptReader<?> reader = work.sequence().reader();
            chosen += reader == null ? work.outputs() : 0;
            scored += reader instanceof ScoreReader ? work.outputs() : 0;
        }
        return chosen + Math.min(scored, scoredRows);
    }

    private TensorOps ops() {
        return model.getLoraContext().getOps();
    }

    /** Runs a step. The caches have room, and have grown by their tokens when it ends. */
    Logits run(List<Work> works) {
        ForwardStep.Builder step = ForwardStep.builder();
        boolean reads = false;
        for (Work work : works) {
            Sequence sequence = work.sequence();
            reads |= sequence.reader() != null;
            int[] tokens = sequence.tokens(work.from(), work.from() + work.tokens());
            System.arraycopy(work.draft(), 0, tokens, work.count(), work.draft().length);
            int activeFrom =
                    Math.max(0, Math.min(tokens.length, sequence.activeFrom() - work.from()));
            step.addPart(sequence.cache(), sequence.mix(), activeFrom, work.outputs(), tokens);
        }
        NDManager stepManager = manager.newSubManager();
        boolean done = false;
        try {
            Logits logits =
                    reads
                            ? read(stepManager, model.states(stepManager, step.build()), works)
                            : new Logits(
                                    stepManager, model.forward(stepManager, step.build()), null);
            done = true;
            return logits;
        } finally {
            if (!done) {
                stepManager.close();
            }
        }
    }

    /** Computes logits of some rows to choose tokens from, and of others to score tokens with. */
    private Logits read(NDManager stepManager, StepStates states, List<Work> works) {
        int[] places = new int[states.count()];
        List<Integer> chosen = new ArrayList<>();
        List<Integer> scored = new ArrayList<>();
        List<Integer> targets = new ArrayList<>();
        int row = 0;
        for (Work work : works) {
            int first = work.from() + work.count() - work.outputs();
            PromptReader<?> reader = work.sequence().reader();
            for (int i = 0; i < work.outputs(); ++i) {
                if (reader == null) {
                    places[row] = chosen.size();
                    chosen.add(row);
                } else if (reader instanceof ScoreReader scores) {
                    places[row] = scored.size();
                    scored.add(row);
                    targets.add(scores.target(first + i));
                }
                ++row;
            }
        }
        Readings readings = new Readings(states, places, scored.size());
        for (int from = 0; from < scored.size(); from += scoredRows) {
            int to = Math.min(scored.size() - from, scoredRows) + from;
            try (NDManager scratch = stepManager.newSubManager()) {
                NDArray logits = states.logits(scratch, ints(scored.subList(from, to)));
                score(logits, ints(targets.subList(from, to)), readings, from);
            }
        }
        NDArray logits = chosen.isEmpty() ? null : states.logits(stepManager, ints(chosen));
        return new Logits(stepManager, logits, readings);
    }

    private void score(NDArray logits, int[] targets, Readings readings, int from) {
        int[] greatest = ops().argmaxRows(logits);
        NDArray ids =
                logits.getManager()
                        .create(
                                Arrays.stream(targets).asLongStream().toArray(),
                                new Shape(targets.length, 1));
        float[] logProbs = logits.logSoftmax(1).gather(ids, 1).toFloatArray();
        System.arraycopy(greatest, 0, readings.greatest, from, targets.length);
        System.arraycopy(logProbs, 0, readings.logProbs, from, targets.length);
    }

    private static int[] ints(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }
}
