/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.List;

/**
 * A step's plan together with what the adapters of its rows change beside the operator's part, as
 * {@link LoraContext#resolve} finds it.
 *
 * <p>It holds for the step that it was made for: an adapter's extras are freed with its slot.
 */
public final class ResolvedPlan {

    private final BatchPlan plan;
    private final List<Part> parts;

    ResolvedPlan(BatchPlan plan, List<Part> parts) {
        this.plan = plan;
        this.parts = parts;
    }

    /**
     * Returns which rows use which adapters.
     *
     * @return the plan, or null for the base model alone
     */
    public BatchPlan plan() {
        return plan;
    }

    /**
     * Returns whether no row uses an adapter.
     *
     * @return whether every row is one of the base model
     */
    public boolean isBaseOnly() {
        return plan == null || plan.isBaseOnly();
    }

    /**
     * Returns the rows whose adapters change more than the operator's part.
     *
     * @return the parts of the plan, in the order of their rows; empty for most steps
     */
    public List<Part> parts() {
        return parts;
    }

    /**
     * Returns whether any row's adapter changes the input or the weight of a linear layer.
     *
     * @param module the layer's index
     * @return whether the layer must look at the parts
     */
    public boolean changesLinear(int module) {
        for (Part part : parts) {
            if (part.extras.changesLinear(module)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Neighbouring rows that use one adapter with extras.
     *
     * @param from the first row
     * @param to the row behind the last
     * @param extras the extras
     */
    public record Part(long from, long to, AdapterExtras extras) {}
}
