/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * How the rows of a batch choose their adapters; after the distributions of Punica's benchmarks.
 */
public enum Popularity {
    /** Every row uses the first adapter. */
    IDENTICAL,
    /** Every adapter serves as many rows as any other. */
    DISTINCT,
    /** Every row draws an adapter, each with the same chance. */
    UNIFORM,
    /** The n-th adapter is drawn with a chance that falls as n to the power of 1.1 grows. */
    ZIPF,
    /** Nine rows of ten use the first adapter, the others draw one. */
    SKEWED;

    private static final double ZIPF_EXPONENT = 1.1;

    /**
     * Returns the name in reports.
     *
     * @return the name, such as {@code zipf}
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Returns the slot of each row, the same for the same numbers.
     *
     * @param tokens the number of rows
     * @param adapters the number of adapters to choose from, in the slots from 0
     * @return the slots, rows of one adapter together
     */
    int[] slots(int tokens, int adapters) {
        SplittableRandom random = new SplittableRandom(tokens * 31L + adapters);
        int[] slots = new int[tokens];
        for (int t = 0; t < tokens; ++t) {
            slots[t] =
                    switch (this) {
                        case IDENTICAL -> 0;
                        case DISTINCT -> (int) ((long) t * adapters / tokens);
                        case UNIFORM -> random.nextInt(adapters);
                        case ZIPF -> zipf(random, adapters);
                        case SKEWED -> random.nextInt(10) < 9 ? 0 : random.nextInt(adapters);
                    };
        }
        Arrays.sort(slots);
        return slots;
    }

    private static int zipf(SplittableRandom random, int adapters) {
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
}
