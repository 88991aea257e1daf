/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Arrays;

/**
 * Finds the greatest values of an array without sorting the rest.
 *
 * <p>One pass keeps the best so far in a heap whose root is the worst of them, so a value that
 * cannot get in costs one comparison. Values are kept as keys that rise with falling value and then
 * with rising index: of equal values the one with the lowest index comes first.
 */
final class TopSelector {

    private long[] keys = new long[0];

    /**
     * Selects the greatest values.
     *
     * @param values the values of many rows behind one another, none NaN
     * @param offset the first value of the row
     * @param n the number of values in the row
     * @param k how many to select, at least 1; all where the row has fewer
     * @return how many were selected; {@link #index} gives them in order, until the next call
     */
    int select(float[] values, int offset, int n, int k) {
        int selected = Math.min(k, n);
        // a heap this large would be rebuilt again and again: sorting is no dearer
        int taken = selected > n / 4 ? n : selected;
        if (keys.length < taken) {
            keys = new long[taken];
        }
        for (int i = 0; i < taken; ++i) {
            keys[i] = key(values[offset + i], i);
        }
        if (taken < n) {
            for (int i = taken / 2 - 1; i >= 0; --i) {
                sift(i, keys[i], taken);
            }
            float worst = values[offset + (int) keys[0]];
            for (int i = taken; i < n; ++i) {
                float value = values[offset + i];
                // an equal value has a higher index here and is worse
                if (value > worst) {
                    sift(0, key(value, i), taken);
                    worst = values[offset + (int) keys[0]];
                }
            }
        }
        Arrays.sort(keys, 0, taken);
        return selected;
    }

    /**
     * Returns where a selected value lies.
     *
     * @param rank its rank, from 0 for the greatest
     * @return its index in the row
     */
    int index(int rank) {
        return (int) keys[rank];
    }

    private static long key(float value, int index) {
        int bits = Float.floatToRawIntBits(value + 0f); // -0 becomes 0
        int rising = bits >= 0 ? bits : bits ^ Integer.MAX_VALUE;
        return (long) ~rising << 32 | index;
    }

    private void sift(int from, long key, int size) {
        int hole = from;
        for (int child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
            if (child + 1 < size && keys[child + 1] > keys[child]) {
                ++child;
            }
            if (keys[child] <= key) {
                break;
            }
            keys[hole] = keys[child];
            hole = child;
        }
        keys[hole] = key;
    }
}
