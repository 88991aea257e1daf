/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.ResolvedPlan;
import ai.djl.lora.op.TensorOps;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Looks up the rows of a step in the embedding, as each row's adapter has it. */
final class TokenEmbedding {

    private final LoraContext context;
    private final NDArray table;

    /**
     * Constructs a new {@code TokenEmbedding} instance.
     *
     * @param context what the model's layers share
     * @param table the base model's embedding [vocabulary, hidden]
     */
    TokenEmbedding(LoraContext context, NDArray table) {
        this.context = context;
        this.table = table;
    }

    /**
     * Looks up the rows of a step.
     *
     * @param manager the manager to attach the result to
     * @param rows the rows
     * @param plan which rows use which adapter
     * @return [rows, hidden]
     */
    NDArray forward(NDManager manager, StepRows rows, ResolvedPlan plan) {
        TensorOps ops = context.getOps();
        NDArray x = ops.embedding(table, ids(manager, rows.tokens()));
        for (ResolvedPlan.Part part : plan.parts()) {
            AdapterExtras.Embedding change = part.extras().embedding();
            if (change != null) {
                int from = Math.toIntExact(part.from());
                int to = Math.toIntExact(part.to());
                int[] tokens = Arrays.copyOfRange(rows.tokens(), from, to);
                change(x, from, tokens, change);
            }
        }
        for (SequenceRows sequence : rows.sequences()) {
            if (sequence.promptTokens() > 0) {
                ops.copyRows(x, sequence.row(), sequence.begun().prompt());
            }
        }
        return x;
    }

    /** Changes the rows of some tokens in x, from the given one on. */
    private void change(NDArray x, int from, int[] tokens, AdapterExtras.Embedding change) {
        TensorOps ops = context.getOps();
        try (NDManager scratch = x.getManager().newSubManager()) {
            NDArray ids = ids(scratch, tokens);
            if (change.weight() != null) {
                ops.copyRows(x, from, ops.embedding(change.weight(), ids));
            }
            if (change.lookup() != null) {
                NDArray target = ops.rows(x, from, from + tokens.length);
                target.attach(scratch);
                target.addi(ops.linear(ops.embedding(change.lookup(), ids), change.product()));
            }
            if (change.replaced() != null) {
                replace(x, from, tokens, change.replaced(), scratch);
            }
        }
    }

    /* Neighbouring tokens are copied together. */
    private void replace(
            NDArray x,
            int from,
            int[] tokens,
            AdapterExtras.ReplacedRows replaced,
            NDManager scratch) {
        int[] places = IntStream.of(tokens).map(replaced::find).toArray();
        int start = 0;
        while (start < places.length) {
            int end = start;
            while (end < places.length && places[end] >= 0) {
                ++end;
            }
            if (end > start) {
                NDArray run = ids(scratch, Arrays.copyOfRange(places, start, end));
                context.getOps()
                        .copyRows(
                                x,
                                from + start,
                                context.getOps().embedding(replaced.values(), run));
            }
            start = end + 1;
        }
    }

    static NDArray ids(NDManager manager, int... values) {
        return manager.create(Arrays.stream(values).asLongStream().toArray());
    }
}
