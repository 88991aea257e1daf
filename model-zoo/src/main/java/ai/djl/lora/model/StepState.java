/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.ResolvedPlan;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What every layer of a model needs to know of a step; made once for the step. */
final class StepState {

    private final NDManager manager;
    private final ResolvedPlan plan;
    private final RotaryTable.Rows rotary;
    private final List<SequenceRows> sequences;
    private final Map<MaskKey, NDArray> masks = new HashMap<>();

    /**
     * Constructs a new {@code StepState} instance.
     *
     * @param manager the manager of what lives as long as the step
     * @param plan the adapter of each row
     * @param rotary the cosines and sines of each row's position
     * @param sequences the sequences, which together cover the rows in their order
     */
    StepState(
            NDManager manager,
            ResolvedPlan plan,
            RotaryTable.Rows rotary,
            List<SequenceRows> sequences) {
        this.manager = manager;
        this.plan = plan;
        this.rotary = rotary;
        this.sequences = sequences;
    }

    private record MaskKey(SequenceRows sequence, int window) {}

    ResolvedPlan plan() {
        return plan;
    }

    NDArray cos() {
        return rotary.cos();
    }

    NDArray sin() {
        return rotary.sin();
    }

    List<SequenceRows> sequences() {
        return sequences;
    }

    /**
     * Returns which keys the rows of a sequence see.
     *
     * @param sequence the sequence
     * @param window the number of newest positions that a row sees, 0 for all
     * @return boolean [rows, keys], keys from {@link SequenceRows#firstKey} on; null where no mask
     *     is needed
     */
    NDArray mask(SequenceRows sequence, int window) {
        if (sequence.count() == 1 || sequence.isCausal(window)) {
            return null;
        }
        return masks.computeIfAbsent(
                new MaskKey(sequence, window), key -> newMask(sequence, window));
    }

    private NDArray newMask(SequenceRows sequence, int window) {
        int first = sequence.firstKey(window);
        int keys = sequence.total() - first;
        boolean[] seen = new boolean[Math.multiplyExact(sequence.count(), keys)];
        for (int i = 0; i < sequence.count(); ++i) {
            int position = sequence.past() + i;
            int oldest = window == 0 ? 0 : Math.max(0, position + 1 - window);
            for (int key = oldest; key <= position; ++key) {
                seen[i * keys + key - first] = true;
            }
        }
        return manager.create(seen, new Shape(sequence.count(), keys));
    }
}
