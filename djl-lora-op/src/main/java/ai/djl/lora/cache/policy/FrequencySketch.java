/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Arrays;

/**
 * Counts requests by id, approximately and in little memory: four rows of counters up to 15, an
 * id's count being the least of its counters (Cormode and Muthukrishnan, "An Improved Data Stream
 * Summary: The Count-Min Sketch and its Applications", 2005). After a number of requests in
 * proportion to the size all counters are halved (Einziger, Friedman and Manes, "TinyLFU: A Highly
 * Efficient Cache Admission Policy", 2017).
 */
final class FrequencySketch {

    private static final int MAXIMUM = 15;
    private static final int SAMPLE = 10;
    private static final int WIDTH_PER_ENTRY = 8;
    private static final int LEAST_WIDTH = 4096;
    private static final long[] SEEDS = {
        0x9e3779b97f4a7c15L, 0xbf58476d1ce4e5b9L, 0x94d049bb133111ebL, 0xd6e8feb86659fd93L
    };

    private final byte[][] rows = new byte[SEEDS.length][LEAST_WIDTH];
    private int entries = 1;
    private long requests;

    /**
     * Makes room for a number of resident adapters. Counts are kept: the counters of a wider row
     * begin as copies.
     */
    void ensure(int size) {
        entries = Math.max(entries, size);
        while (rows[0].length < (long) WIDTH_PER_ENTRY * entries && rows[0].length < 1 << 28) {
            for (int i = 0; i < rows.length; ++i) {
                int width = rows[i].length;
                rows[i] = Arrays.copyOf(rows[i], 2 * width);
                System.arraycopy(rows[i], 0, rows[i], width, width);
            }
        }
    }

    /** Counts a request. */
    void record(String id) {
        int least = frequency(id);
        if (least < MAXIMUM) {
            // Only the least counters grow: the others count too much already.
            for (int i = 0; i < rows.length; ++i) {
                int index = index(id, i);
                if (rows[i][index] == least) {
                    ++rows[i][index];
                }
            }
        }
        if (++requests >= (long) SAMPLE * entries) {
            halve();
        }
    }

    /** Returns the count of an id, 0 to 15. */
    int frequency(String id) {
        int least = MAXIMUM;
        for (int i = 0; i < rows.length; ++i) {
            least = Math.min(least, rows[i][index(id, i)]);
        }
        return least;
    }

    private void halve() {
        for (byte[] row : rows) {
            for (int i = 0; i < row.length; ++i) {
                row[i] >>= 1;
            }
        }
        requests /= 2;
    }

    private int index(String id, int row) {
        long hash = (id.hashCode() + SEEDS[row]) * SEEDS[row];
        hash = (hash ^ hash >>> 32) * SEEDS[(row + 1) % SEEDS.length];
        return (int) (hash >>> 32) & rows[row].length - 1;
    }
}
