/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.op.BatchPlan;
import java.util.SplittableRandom;

/**
 * A shape of work for the operator.
 *
 * @param name what the case shows
 * @param in the module's inputs
 * @param out the module's outputs
 * @param rank the rank of every adapter
 * @param tokens the number of rows
 * @param adapters the number of adapters that rows choose from
 * @param popularity how rows choose: identical, distinct, uniform, zipf or skewed
 */
record OperatorCase(
        String name, int in, int out, int rank, int tokens, int adapters, String popularity) {

    private static final int ELEMENT_BYTES = 2;
    private static final double ZIPF_EXPONENT = 1.1;

    /** Returns which rows use which adapter, rows of one adapter together. */
    BatchPlan plan() {
        SplittableRandom random = new SplittableRandom(tokens * 31L + adapters);
        int[] slots = new int[tokens];
        for (int t = 0; t < tokens; ++t) {
            slots[t] =
                    switch (popularity) {
                        case "identical" -> 0;
                        case "distinct" -> (int) ((long) t * adapters / tokens);
                        case "uniform" -> random.nextInt(adapters);
                        case "zipf" -> zipf(random);
                        case "skewed" -> random.nextInt(10) < 9 ? 0 : random.nextInt(adapters);
                        default -> throw new IllegalArgumentException(popularity);
                    };
        }
        java.util.Arrays.sort(slots);
        return BatchPlan.ofRows(slots);
    }

    private int zipf(SplittableRandom random) {
        double total = 0;
        for (int i = 1; i <= adapters; ++i) {
            total += Math.pow(i, -ZIPF_EXPONENT);
        }
        double left = random.nextDouble() * total;
        int adapter = 0;
        while (adapter < adapters - 1) {
            left -= Math.pow(adapter + 1.0, -ZIPF_EXPONENT);
            if (left < 0) {
                break;
            }
            ++adapter;
        }
        return adapter;
    }

    /** Returns the bytes of A and B of one adapter. */
    long adapterBytes() {
        return (long) rank * (in + out) * ELEMENT_BYTES;
    }

    /** Returns the bytes that must move: the weights in use once, x once, y there and back. */
    long bytes(BatchPlan plan) {
        return plan.segments() * adapterBytes() + (long) tokens * (in + 2L * out) * ELEMENT_BYTES;
    }

    /** Returns the floating-point operations. */
    long operations() {
        return 2L * tokens * rank * (in + out);
    }
}
