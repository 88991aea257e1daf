/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.PagedBatch;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;

/**
 * Neighbouring rows of a step whose sequences lie in one pool.
 *
 * @param pool the pool
 * @param batch where the rows belong
 * @param from the first row
 * @param to the row behind the last
 */
record PoolRows(KvPool pool, PagedBatch batch, int from, int to) {

    /** Divides the sequences of a step, whose caches have room for their rows. */
    static List<PoolRows> of(NDManager manager, List<SequenceRows> sequences) {
        List<PoolRows> result = new ArrayList<>();
        int first = 0;
        while (first < sequences.size()) {
            KvPool pool = sequences.get(first).cache().pool();
            PagedBatch.Builder batch = PagedBatch.builder(KvPool.BLOCK_POSITIONS);
            int last = first;
            while (last < sequences.size() && sequences.get(last).cache().pool() == pool) {
                SequenceRows rows = sequences.get(last);
                batch.addSequence(rows.past(), rows.count(), rows.cache().blocks());
                ++last;
            }
            SequenceRows end = sequences.get(last - 1);
            int to = end.row() + end.count();
            result.add(new PoolRows(pool, batch.build(manager), sequences.get(first).row(), to));
            first = last;
        }
        return result;
    }
}
