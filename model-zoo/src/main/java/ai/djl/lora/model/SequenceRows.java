/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.PagedBatch;
import ai.djl.ndarray.NDManager;
import java.util.List;

/**
 * The rows of one sequence in a step, and where they lie among the sequence's positions.
 *
 * @param cache the sequence's cache
 * @param past the number of positions before the first row: those in the cache, or those of the
 *     prefix that the sequence begins with
 * @param row the first row
 * @param count the number of rows, those of virtual tokens first
 * @param outputs of how many rows, the last ones, logits are wanted
 * @param begun the extras of an adapter that begins the sequence in this step, or null
 */
record SequenceRows(KvCache cache, int past, int row, int count, int outputs, AdapterExtras begun) {

    /** Returns the number of rows of virtual tokens. */
    int promptTokens() {
        return begun == null ? 0 : begun.promptTokens();
    }

    /** Returns the number of positions with the rows. */
    int total() {
        return past + count;
    }

    /** Makes room in the cache and puts the prefix there; doing so again changes nothing. */
    void prepareCache(NDManager manager) {
        cache.reserve(total());
        List<AdapterExtras.KeysValues> prefix = begun == null ? List.of() : begun.prefix();
        if (!prefix.isEmpty()) {
            PagedBatch batch =
                    PagedBatch.builder(KvPool.BLOCK_POSITIONS)
                            .addSequence(0, begun.prefixTokens(), cache.blocks())
                            .build(manager);
            for (int layer = 0; layer < prefix.size(); ++layer) {
                AdapterExtras.KeysValues written = prefix.get(layer);
                cache.pool().write(layer, batch, written.keys(), written.values());
            }
        }
    }

    /** Counts what the step has written to the cache. */
    void commit() {
        cache.advance(total(), begun);
    }
}
