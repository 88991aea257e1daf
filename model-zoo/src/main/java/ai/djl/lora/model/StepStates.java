/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;

/**
 * What a step leaves of the rows that are wanted behind the model's last norm (transformers' {@code
 * last_hidden_state}), from which logits are computed of as many rows at a time as there is memory
 * for. Ends with the manager that the step was given.
 */
public final class StepStates {

    private final LoraContext context;
    private final NDArray states;
    private final List<AdapterMix> mixes;
    private final BiFunction<NDArray, BatchPlan, NDArray> output;

    /**
     * Constructs a new {@code StepStates} instance.
     *
     * @param context the model's context
     * @param states [rows, hidden], in the model's type
     * @param mixes what each row adds to the base model
     * @param output the model's output layer: logits of rows, in their manager, float32
     */
    StepStates(
            LoraContext context,
            NDArray states,
            List<AdapterMix> mixes,
            BiFunction<NDArray, BatchPlan, NDArray> output) {
        this.context = context;
        this.states = states;
        this.mixes = mixes;
        this.output = output;
    }

    /**
     * Returns the number of rows.
     *
     * @return as many as the step was asked for logits of
     */
    public int count() {
        return mixes.size();
    }

    /**
     * Returns the states of some rows.
     *
     * @param from the first row
     * @param to the row behind the last
     * @return [to - from, hidden], one row behind the other
     */
    public float[] values(int from, int to) {
        TensorOps ops = context.getOps();
        try (NDManager scratch = states.getManager().newSubManager()) {
            NDArray rows = ops.rows(states, from, to);
            rows.attach(scratch);
            return context.getType() == ElementType.FLOAT32
                    ? rows.toFloatArray()
                    : ops.toType(rows, ElementType.FLOAT32).toFloatArray();
        }
    }

    /**
     * Computes the logits of some rows.
     *
     * @param manager the manager to attach the result to
     * @param rows the rows, at least one
     * @return [rows, vocabulary], float32
     */
    public NDArray logits(NDManager manager, int... rows) {
        BatchPlan plan = BatchPlan.ofMixes(Arrays.stream(rows).mapToObj(mixes::get).toList());
        return context.runStep(
                () -> {
                    try (NDManager scratch = manager.newSubManager()) {
                        NDArray ids = TokenEmbedding.ids(scratch, rows);
                        NDArray logits =
                                output.apply(context.getOps().embedding(states, ids), plan);
                        logits.attach(manager);
                        return logits;
                    }
                });
    }
}
