/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.BatchPlan;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What every layer of a model needs to know of a step; made once for the step. */
final class StepState {

    private final NDManager manager;
    private final BatchPlan plan;
    private final RotaryTable.Rows rotary;
    private final List<Span> spans;
    private final Map<MaskKey, NDArray> masks = new HashMap<>();

    /**
     * Constructs a new {@code StepState} instance.
     *
     * @param manager the manager of what lives as long as the step
     * @param plan the adapter of each row
     * @param rotary the cosines and sines of each row's position
     * @param spans the sequences, which together cover the rows in their order
     */
    StepState(NDManager manager, BatchPlan plan, RotaryTable.Rows rotary, List<Span> spans) {
        this.manager = manager;
        this.plan = plan;
        this.rotary = rotary;
        this.spans = spans;
    }

    /**
     * The rows of one sequence.
     *
     * @param cache the sequence's cache
     * @param row the first row
     * @param count the number of rows
     */
    record Span(KvCache cache, int row, int count) {

        /** Returns the number of tokens before the span's. */
        int past() {
            return cache.length();
        }

        /** Returns the number of tokens with the span's. */
        int total() {
            return cache.length() + count;
        }

        /** Returns the oldest token that any token of the span sees through the window. */
        int firstKey(int window) {
            return window == 0 ? 0 : Math.max(0, past() + 1 - window);
        }

        /** Returns whether every token sees just itself and all that are before it in the span. */
        boolean isCausal(int window) {
            return count > 1 && past() == 0 && (window == 0 || count <= window);
        }
    }

    private record MaskKey(Span span, int window) {}

    BatchPlan plan() {
        return plan;
    }

    NDArray cos() {
        return rotary.cos();
    }

    NDArray sin() {
        return rotary.sin();
    }

    List<Span> spans() {
        return spans;
    }

    /**
     * Returns which keys the tokens of a span see.
     *
     * @param span the span
     * @param window the number of newest tokens that a token sees, 0 for all
     * @return boolean [tokens, keys], keys from {@link Span#firstKey} on; null where no mask is
     *     needed
     */
    NDArray mask(Span span, int window) {
        if (span.count == 1 || span.isCausal(window)) {
            return null;
        }
        return masks.computeIfAbsent(new MaskKey(span, window), key -> newMask(span, window));
    }

    private NDArray newMask(Span span, int window) {
        int first = span.firstKey(window);
        int keys = span.total() - first;
        boolean[] seen = new boolean[Math.multiplyExact(span.count, keys)];
        for (int i = 0; i < span.count; ++i) {
            int position = span.past() + i;
            int oldest = window == 0 ? 0 : Math.max(0, position + 1 - window);
            for (int key = oldest; key <= position; ++key) {
                seen[i * keys + key - first] = true;
            }
        }
        return manager.create(seen, new Shape(span.count, keys));
    }
}
