/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.tensor.ElementType;
import java.util.List;

/**
 * A shape of work for the operator.
 *
 * @param name what the case shows
 * @param in the module's inputs
 * @param out the module's outputs
 * @param ranks the adapters' ranks: that in slot {@code i} has {@code ranks.get(i % ranks.size())}
 * @param tokens the number of rows
 * @param adapters the number of adapters that rows choose from, in the slots from 0
 * @param popularity how rows choose
 */
public record OperatorCase(
        String name,
        int in,
        int out,
        List<Integer> ranks,
        int tokens,
        int adapters,
        Popularity popularity) {

    private static final int MOST_MODULES = 1024;

    /**
     * Returns which rows use which adapter, rows of one adapter together.
     *
     * @return the plan
     */
    public BatchPlan plan() {
        return BatchPlan.ofRows(popularity.slots(tokens, adapters));
    }

    /**
     * Returns the rank of an adapter.
     *
     * @param slot the adapter's slot
     * @return the rank
     */
    public int rank(int slot) {
        return ranks.get(slot % ranks.size());
    }

    /**
     * Returns the highest rank of the adapters that rows choose from.
     *
     * @return the rank
     */
    public int highestRank() {
        int highest = 0;
        for (int slot = 0; slot < Math.min(adapters, ranks.size()); ++slot) {
            highest = Math.max(highest, rank(slot));
        }
        return highest;
    }

    /**
     * Returns the size of A and B of one adapter for one module.
     *
     * @param slot the adapter's slot
     * @param type the type of their elements
     * @return the size in bytes
     */
    public long adapterBytes(int slot, ElementType type) {
        return (long) rank(slot) * (in + out) * type.bytes();
    }

    /**
     * Returns how many modules' adapters fill the memory to rotate through.
     *
     * @param rotation the memory in bytes
     * @param type the type of the adapters' elements
     * @return the number of modules, 1 to 1024
     */
    public int modules(long rotation, ElementType type) {
        long perModule = 0;
        for (int slot = 0; slot < adapters; ++slot) {
            perModule += adapterBytes(slot, type);
        }
        return (int) Math.max(1, Math.min(MOST_MODULES, rotation / perModule));
    }

    /**
     * Returns what must move for one module: the weights in use once, x once, y there and back.
     *
     * @param plan the case's plan
     * @param type the type of all elements
     * @return the size in bytes
     */
    public long bytes(BatchPlan plan, ElementType type) {
        long weights = 0;
        for (long slot : plan.slots()) {
            weights += adapterBytes((int) slot, type);
        }
        return weights + (long) tokens * (in + 2L * out) * type.bytes();
    }

    /**
     * Returns the floating-point operations for one module.
     *
     * @param plan the case's plan
     * @return the number of multiplications and additions
     */
    public long operations(BatchPlan plan) {
        long[] starts = plan.segmentStarts();
        long[] slots = plan.slots();
        long operations = 0;
        for (int s = 0; s < slots.length; ++s) {
            operations += 2L * (starts[s + 1] - starts[s]) * rank((int) slots[s]) * (in + out);
        }
        return operations;
    }
}
