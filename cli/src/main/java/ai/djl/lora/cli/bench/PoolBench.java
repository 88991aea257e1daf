/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.HostArena;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;

/** Measures a pool of the host's memory over random allocations and frees of mixed sizes. */
final class PoolBench {

    private static final long BYTES = 128L << 20;

    /** More than the pool holds of the mean size, so that it is full at times. */
    private static final int HANDLES = 6_000;

    private PoolBench() {}

    /**
     * What was measured.
     *
     * @param fragmentation 1 - largest block that can be had / free bytes, after defragmentation
     * @param fragmentationBefore the same before it
     * @param allocationMicros the median time of an allocation that succeeded, in microseconds
     */
    record Result(double fragmentation, double fragmentationBefore, double allocationMicros) {}

    /**
     * Runs allocations and frees in turn by chance, on sizes from 1 kB to 512 kB.
     *
     * @param operations how many
     * @return what was measured
     */
    static Result run(int operations) {
        SplittableRandom random = new SplittableRandom(1);
        long[] nanos = new long[operations];
        int measured = 0;
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(BYTES))) {
            @SuppressWarnings({"unchecked", "rawtypes"})
            Block<ByteBuffer>[] blocks = new Block[HANDLES];
            for (int i = 0; i < operations; ++i) {
                int at = random.nextInt(HANDLES);
                if (blocks[at] != null) {
                    pool.free(blocks[at]);
                    blocks[at] = null;
                    continue;
                }
                int size = (1 << 10 + random.nextInt(9)) + random.nextInt(1 << 10);
                long start = System.nanoTime();
                Optional<Block<ByteBuffer>> block = pool.tryAllocate(size);
                long time = System.nanoTime() - start;
                if (block.isPresent()) {
                    blocks[at] = block.get();
                    nanos[measured++] = time;
                }
            }
            double before = pool.statistics().fragmentation();
            pool.defragment();
            Arrays.sort(nanos, 0, measured);
            return new Result(pool.statistics().fragmentation(), before, nanos[measured / 2] / 1e3);
        }
    }
}
