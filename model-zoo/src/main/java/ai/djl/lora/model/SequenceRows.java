/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterExtras;
import java.util.List;

/**
 * The rows of one sequence in a step, and where they lie among the sequence's positions.
 *
 * @param cache the sequence's cache
 * @param past the number of positions before the first row: those in the cache, or those of the
 *     prefix that the sequence begins with
 * @param row the first row
 * @param count the number of rows, those of virtual tokens first
 * @param begun the extras of an adapter that begins the sequence in this step, or null
 */
record SequenceRows(KvCache cache, int past, int row, int count, AdapterExtras begun) {

    /** Returns the number of rows of virtual tokens. */
    int promptTokens() {
        return begun == null ? 0 : begun.promptTokens();
    }

    /** Returns the number of positions with the rows. */
    int total() {
        return past + count;
    }

    /** Returns the oldest position that any row sees through the window. */
    int firstKey(int window) {
        return window == 0 ? 0 : Math.max(0, past + 1 - window);
    }

    /** Returns whether every row sees just itself and all rows that are before it. */
    boolean isCausal(int window) {
        return count > 1 && past == 0 && (window == 0 || count <= window);
    }

    /** Makes room in the cache and puts the prefix there; doing so again changes nothing. */
    void prepareCache() {
        cache.reserve(total());
        List<AdapterExtras.KeysValues> prefix = begun == null ? List.of() : begun.prefix();
        for (int layer = 0; layer < prefix.size(); ++layer) {
            cache.write(layer, 0, prefix.get(layer).keys(), prefix.get(layer).values());
        }
    }

    /** Counts what the step has written to the cache. */
    void commit() {
        cache.advance(total(), begun);
    }
}
