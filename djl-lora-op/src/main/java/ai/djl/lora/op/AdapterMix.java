/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.Arrays;

/**
 * What a row adds to the base model: nothing, one adapter, or a stack of several with a weight
 * each,
 *
 * <pre>y = W x + sum_i weight_i * scale_i * B_i A_i x</pre>
 *
 * <p>The sum is taken in the operator; no merged adapter is built. PEFT reaches the same with
 * {@code add_weighted_adapter(combination_type="cat")}, which builds an adapter of the ranks' sum.
 */
public final class AdapterMix implements Comparable<AdapterMix> {

    /** The base model alone. */
    public static final AdapterMix BASE = new AdapterMix(new int[0], new float[0]);

    private final int[] slots;
    private final float[] weights;

    private AdapterMix(int[] slots, float[] weights) {
        this.slots = slots;
        this.weights = weights;
    }

    /**
     * Returns one adapter at its own strength.
     *
     * @param slot the adapter's slot, or {@link BatchPlan#BASE} for the base model alone
     * @return the mix
     */
    public static AdapterMix of(int slot) {
        if (slot == BatchPlan.BASE) {
            return BASE;
        }
        return stack(new int[] {slot}, new float[] {1});
    }

    /**
     * Returns a stack of adapters.
     *
     * @param slots the adapters' slots, each once
     * @param weights the weight of each, finite
     * @return the mix
     */
    public static AdapterMix stack(int[] slots, float[] weights) {
        if (slots.length != weights.length) {
            throw new IllegalArgumentException(
                    "A stack of " + slots.length + " slots has " + weights.length + " weights");
        }
        for (int i = 0; i < slots.length; ++i) {
            if (slots[i] < 0) {
                throw new IllegalArgumentException(
                        "slots[" + i + "] is " + slots[i] + "; a slot is 0 or more");
            }
            if (!Float.isFinite(weights[i])) {
                throw new IllegalArgumentException(
                        "weights[" + i + "] is " + weights[i] + "; it must be finite");
            }
            for (int j = 0; j < i; ++j) {
                if (slots[i] == slots[j]) {
                    throw new IllegalArgumentException("Slot " + slots[i] + " is twice in a stack");
                }
            }
        }
        return new AdapterMix(slots.clone(), weights.clone());
    }

    /**
     * Returns the number of adapters.
     *
     * @return 0 for the base model alone
     */
    public int size() {
        return slots.length;
    }

    /**
     * Returns the slot of an adapter.
     *
     * @param index its place in the stack
     * @return the slot
     */
    public int slot(int index) {
        return slots[index];
    }

    /**
     * Returns the weight of an adapter.
     *
     * @param index its place in the stack
     * @return the weight
     */
    public float weight(int index) {
        return weights[index];
    }

    /**
     * Returns whether this is the base model, or one adapter at its own strength.
     *
     * @return whether there is nothing to weigh
     */
    public boolean isPlain() {
        return slots.length == 0 || slots.length == 1 && weights[0] == 1;
    }

    /**
     * {@inheritDoc}
     *
     * <p>The base model comes first, then mixes by their slots and then by their weights.
     */
    @Override
    public int compareTo(AdapterMix other) {
        int bySlots = Arrays.compare(slots, other.slots);
        return bySlots != 0 ? bySlots : Arrays.compare(weights, other.weights);
    }

    /** {@inheritDoc} */
    @Override
    public boolean equals(Object other) {
        return other instanceof AdapterMix mix
                && Arrays.equals(slots, mix.slots)
                && Arrays.equals(weights, mix.weights);
    }

    /** {@inheritDoc} */
    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(slots) + Arrays.hashCode(weights);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        if (slots.length == 0) {
            return "base";
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < slots.length; ++i) {
            text.append(i == 0 ? "" : " + ").append(weights[i]).append("*slot").append(slots[i]);
        }
        return text.toString();
    }
}
