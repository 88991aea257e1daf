/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.testng.annotations.Test;

/** Threads that take, read and free blocks of one pool while another moves them about. */
public class BlockPoolConcurrencyTest {

    private static final int THREADS = 8;
    private static final int OPERATIONS = 20_000;
    private static final int BYTES = 1 << 20;

    @Test(timeOut = 120_000)
    public void noBlockIsEverReadAtItsOldPlace() throws Exception {
        ExecutorService executor = Executors.newCachedThreadPool();
        AtomicBoolean done = new AtomicBoolean();
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(BYTES))) {
            Future<?> mover =
                    executor.submit(
                            () -> {
                                while (!done.get()) {
                                    pool.defragment();
                                    PoolStatistics statistics = pool.statistics();
                                    assertTrue(statistics.used() <= statistics.limit());
                                }
                            });
            List<Block<ByteBuffer>> shared = new ArrayList<>();
            for (int i = 0; i < 16; ++i) {
                // between blocks that are freed, so that there are gaps to move into
                Block<ByteBuffer> gap = pool.tryAllocate(5_000).orElseThrow();
                shared.add(fill(pool.tryAllocate(3_000 + i).orElseThrow(), i));
                pool.free(gap);
            }
            List<Future<?>> users = new ArrayList<>();
            for (int t = 0; t < THREADS; ++t) {
                int seed = t;
                users.add(executor.submit(() -> use(pool, shared, seed)));
            }
            for (Future<?> user : users) {
                user.get();
            }
            done.set(true);
            mover.get();
            assertTrue(pool.statistics().moves() > 1_000, pool.statistics() + "");
            for (int i = 0; i < shared.size(); ++i) {
                check(shared.get(i), i);
                pool.free(shared.get(i));
            }
            PoolStatistics statistics = pool.statistics();
            assertEquals(statistics.used(), 0);
            assertEquals(statistics.requested(), 0);
            assertEquals(statistics.freeRanges(), 1);
            assertEquals(statistics.largest(), BYTES);
            assertEquals(statistics.frees(), statistics.allocations());
        } finally {
            done.set(true);
            executor.shutdownNow();
            assertTrue(executor.awaitTermination(1, TimeUnit.MINUTES));
        }
    }

    private static void use(BlockPool<ByteBuffer> pool, List<Block<ByteBuffer>> shared, int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        Deque<Block<ByteBuffer>> own = new ArrayDeque<>();
        Deque<Integer> marks = new ArrayDeque<>();
        for (int i = 0; i < OPERATIONS; ++i) {
            int which = random.nextInt(shared.size());
            check(shared.get(which), which);
            if (own.size() < 20 && random.nextBoolean()) {
                Optional<Block<ByteBuffer>> block = pool.tryAllocate(1 + random.nextInt(8_000));
                if (block.isPresent()) {
                    own.add(fill(block.get(), i));
                    marks.add(i);
                }
            } else if (!own.isEmpty()) {
                Block<ByteBuffer> block = own.remove();
                check(block, marks.remove());
                pool.free(block);
            }
        }
        own.forEach(pool::free);
    }

    private static Block<ByteBuffer> fill(Block<ByteBuffer> block, int mark) {
        block.access(
                bytes -> {
                    for (int i = 0; i < bytes.limit(); ++i) {
                        bytes.put(i, (byte) (mark * 31 + i));
                    }
                    return null;
                });
        return block;
    }

    private static void check(Block<ByteBuffer> block, int mark) {
        block.access(
                bytes -> {
                    for (int i = 0; i < bytes.limit(); ++i) {
                        if (bytes.get(i) != (byte) (mark * 31 + i)) {
                            throw new AssertionError(block + " of " + mark + " differs at " + i);
                        }
                    }
                    return null;
                });
    }
}
