/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertThrows;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.testng.annotations.Test;

/** What a pool promises, case by case; {@link BlockPoolModelTest} has the random sequences. */
public class BlockPoolTest {

    private static final long UNIT = BlockPool.ALIGNMENT;

    private static BlockPool<ByteBuffer> pool(long bytes) {
        return new BlockPool<>(new HostArena(bytes));
    }

    private static Block<ByteBuffer> take(BlockPool<ByteBuffer> pool, long bytes) {
        return pool.tryAllocate(bytes).orElseThrow();
    }

    @Test
    public void aBlockHasTheBytesThatWereAskedFor() {
        try (BlockPool<ByteBuffer> pool = pool(1000)) {
            Block<ByteBuffer> block = take(pool, 65);
            assertEquals(block.bytes(), 65);
            assertEquals((int) block.access(ByteBuffer::remaining), 65);
            PoolStatistics statistics = pool.statistics();
            assertEquals(statistics.requested(), 65);
            assertEquals(statistics.used(), 128);
            // 1000 bytes are 15 whole units
            assertEquals(statistics.limit(), 960);
            assertEquals(statistics.free(), 832);
            assertEquals(statistics.utilisation(), 128.0 / 960);
        }
    }

    @Test
    public void theLimitIsReachedAndNotPassed() {
        try (BlockPool<ByteBuffer> pool = pool(4 * UNIT)) {
            take(pool, 3 * UNIT);
            assertTrue(pool.tryAllocate(UNIT + 1).isEmpty());
            take(pool, UNIT);
            assertTrue(pool.tryAllocate(1).isEmpty());
            PoolStatistics statistics = pool.statistics();
            assertEquals(statistics.used(), 4 * UNIT);
            assertEquals(statistics.refusals(), 2);
            assertEquals(statistics.fragmentation(), 0.0);
        }
    }

    @Test
    public void blocksAreAlignedInMemoryAndDoNotShareBytes() {
        try (BlockPool<ByteBuffer> pool = pool(1 << 16)) {
            List<Block<ByteBuffer>> blocks = new ArrayList<>();
            for (int size = 1; size < 200; size += 7) {
                blocks.add(take(pool, size));
            }
            for (int i = 0; i < blocks.size(); ++i) {
                byte mark = (byte) i;
                blocks.get(i)
                        .access(
                                bytes -> {
                                    assertEquals(bytes.alignmentOffset(0, 64), 0);
                                    while (bytes.hasRemaining()) {
                                        bytes.put(mark);
                                    }
                                    return null;
                                });
            }
            for (int i = 0; i < blocks.size(); ++i) {
                byte mark = (byte) i;
                blocks.get(i)
                        .access(
                                bytes -> {
                                    while (bytes.hasRemaining()) {
                                        assertEquals(bytes.get(), mark);
                                    }
                                    return null;
                                });
            }
        }
    }

    @Test
    public void freedNeighboursAreJoined() {
        try (BlockPool<ByteBuffer> pool = pool(4 * UNIT)) {
            Block<ByteBuffer> a = take(pool, UNIT);
            Block<ByteBuffer> b = take(pool, UNIT);
            Block<ByteBuffer> c = take(pool, UNIT);
            pool.free(a);
            pool.free(c);
            assertEquals(pool.statistics().freeRanges(), 2);
            assertEquals(pool.statistics().largest(), 2 * UNIT);
            pool.free(b);
            assertEquals(pool.statistics().freeRanges(), 1);
            take(pool, 4 * UNIT);
        }
    }

    @Test
    public void theSmallestHoleThatFitsIsTaken() {
        try (BlockPool<ByteBuffer> pool = pool(16 * UNIT)) {
            Block<ByteBuffer> large = take(pool, 4 * UNIT);
            take(pool, UNIT);
            Block<ByteBuffer> small = take(pool, 2 * UNIT);
            take(pool, UNIT);
            pool.free(large);
            pool.free(small);
            assertEquals(take(pool, 2 * UNIT).chunk().address, 5 * UNIT);
        }
    }

    @Test
    public void aMovedBlockKeepsItsBytes() {
        try (BlockPool<ByteBuffer> pool = pool(8 * UNIT)) {
            Block<ByteBuffer> gap = take(pool, UNIT);
            // longer than the gap, so that the old and the new place overlap
            Block<ByteBuffer> block = take(pool, 4 * UNIT);
            byte[] content = new byte[(int) block.bytes()];
            new SplittableRandom(1).nextBytes(content);
            block.access(bytes -> bytes.put(content));
            pool.free(gap);
            assertEquals(pool.statistics().fragmentation(), 1 - 3.0 / 4);
            assertEquals(pool.defragment(), new Defragmentation(1, 4 * UNIT));
            assertEquals(block.moves(), 1);
            assertEquals(block.chunk().address, 0);
            byte[] read = new byte[content.length];
            block.access(bytes -> bytes.get(read));
            assertEquals(read, content);
            assertEquals(pool.statistics().fragmentation(), 0.0);
            assertEquals(pool.statistics().moves(), 1);
            assertEquals(pool.statistics().movedBytes(), 4 * UNIT);
        }
    }

    @Test
    public void aPinnedBlockStaysAndTheRestMovesUpToIt() {
        try (BlockPool<ByteBuffer> pool = pool(16 * UNIT)) {
            Block<ByteBuffer> first = take(pool, UNIT);
            Block<ByteBuffer> pinned = take(pool, UNIT);
            Block<ByteBuffer> second = take(pool, UNIT);
            Block<ByteBuffer> last = take(pool, UNIT);
            pool.free(first);
            pool.free(second);
            try (Pin<ByteBuffer> pin = pinned.pin()) {
                assertEquals(pool.defragment(), new Defragmentation(1, UNIT));
                assertEquals(pinned.moves(), 0);
                assertEquals(last.chunk().address, 2 * UNIT);
                assertTrue(pin.view().isDirect());
            }
            assertEquals(pool.defragment(), new Defragmentation(2, 2 * UNIT));
            assertEquals(pool.statistics().fragmentation(), 0.0);
        }
    }

    @Test
    public void defragmentationStopsWhenThereIsEnough() {
        try (BlockPool<ByteBuffer> pool = pool(16 * UNIT)) {
            List<Block<ByteBuffer>> blocks = new ArrayList<>();
            for (int i = 0; i < 16; ++i) {
                blocks.add(take(pool, UNIT));
            }
            for (int i = 0; i < 16; i += 2) {
                pool.free(blocks.get(i));
            }
            assertTrue(pool.tryAllocate(2 * UNIT).isEmpty());
            assertEquals(pool.defragment(2 * UNIT), new Defragmentation(1, UNIT));
            take(pool, 2 * UNIT);
        }
    }

    @Test
    public void wrongUseIsRefused() {
        BlockPool<ByteBuffer> pool = pool(1024);
        try (BlockPool<ByteBuffer> other = pool(1024)) {
            Block<ByteBuffer> block = take(pool, 100);
            assertMessage(
                    expectThrows(IllegalArgumentException.class, () -> other.free(block)),
                    "Block of 100 bytes belongs to another pool");
            Pin<ByteBuffer> pin = block.pin();
            assertMessage(
                    expectThrows(IllegalStateException.class, () -> pool.free(block)),
                    "Block of 100 bytes is pinned 1 times and cannot be freed");
            assertMessage(
                    expectThrows(IllegalStateException.class, pool::close),
                    "The pool cannot be closed: Block of 100 bytes is pinned");
            assertEquals((int) block.access(ByteBuffer::remaining), 100);
            pin.close();
            pin.close();
            assertMessage(
                    expectThrows(IllegalStateException.class, pin::view), "The pin is closed");
            pool.free(block);
            assertMessage(
                    expectThrows(IllegalStateException.class, () -> pool.free(block)),
                    "Block of 100 bytes was freed already");
            assertMessage(
                    expectThrows(IllegalStateException.class, block::pin),
                    "Block of 100 bytes was freed already");
            assertEquals(pool.statistics().blocks(), 0);
            assertEquals(pool.statistics().used(), 0);
        }
        Block<ByteBuffer> left = take(pool, 1);
        pool.close();
        pool.close();
        assertThrows(IllegalStateException.class, left::pin);
        assertThrows(IllegalStateException.class, () -> pool.tryAllocate(1));
        assertThrows(IllegalStateException.class, pool::defragment);
        for (long bytes : new long[] {0, -1, Long.MAX_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> BlockPool.footprint(bytes));
        }
        assertThrows(IllegalArgumentException.class, () -> new HostArena(0));
    }

    private static void assertMessage(Exception e, String message) {
        assertEquals(e.getMessage(), message);
    }

    @Test
    public void aMoveThatFailsLeavesTheBlockWhereItWas() {
        FailingArena arena = new FailingArena();
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(arena)) {
            Block<ByteBuffer> gap = take(pool, UNIT);
            Block<ByteBuffer> block = take(pool, UNIT);
            block.access(bytes -> bytes.putInt(0, 42));
            pool.free(gap);
            arena.failing = true;
            assertThrows(UnsupportedOperationException.class, pool::defragment);
            assertEquals((int) block.access(bytes -> bytes.getInt(0)), 42);
            assertEquals(block.moves(), 0);
            arena.failing = false;
            assertEquals(pool.defragment().blocks(), 1);
            assertEquals((int) block.access(bytes -> bytes.getInt(0)), 42);
        }
        assertTrue(arena.closed);
    }

    /**
     * An arena that can show no more than a part of itself, and whose moves can be made to fail.
     */
    private static final class FailingArena implements Arena<ByteBuffer> {

        private final ByteBuffer memory = ByteBuffer.allocate((int) (8 * UNIT));
        private boolean failing;
        private boolean closed;

        @Override
        public long bytes() {
            return memory.capacity();
        }

        @Override
        public long largestView() {
            return 3 * UNIT;
        }

        @Override
        public ByteBuffer view(long address, long bytes) {
            return memory.slice((int) address, (int) bytes);
        }

        @Override
        public void move(long from, long to, long bytes) {
            if (failing) {
                throw new UnsupportedOperationException("no moves");
            }
            view(to, bytes).put(0, view(from, bytes), 0, (int) bytes);
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    @Test
    public void noBlockIsLargerThanTheArenaCanShow() {
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new FailingArena())) {
            assertTrue(pool.tryAllocate(3 * UNIT + 1).isEmpty());
            PoolStatistics empty = pool.statistics();
            assertEquals(empty.largest(), 3 * UNIT);
            assertEquals(empty.fragmentation(), 0.0, "no larger block can be had by any order");
            Optional<Block<ByteBuffer>> block = pool.tryAllocate(3 * UNIT);
            assertFalse(block.isEmpty());
        }
    }

    @Test
    public void anArenaMayBeLargerThanAByteBuffer() {
        // no more than a few pages of it are ever touched
        long bytes = 5L << 30;
        try (BlockPool<ByteBuffer> pool = pool(bytes)) {
            Block<ByteBuffer> first = take(pool, 1 << 30);
            Block<ByteBuffer> second = take(pool, (1 << 30) + 3);
            Block<ByteBuffer> third = take(pool, 1 << 30);
            Block<ByteBuffer> fourth = take(pool, 1 << 10);
            int last = (1 << 30) - 1;
            third.access(view -> view.put(last, (byte) 7));
            fourth.access(view -> view.put(0, (byte) 9).put(1023, (byte) 11));
            assertEquals((byte) third.access(view -> view.get(last)), 7);
            pool.free(first);
            pool.free(second);
            pool.free(third);
            pool.defragment();
            assertEquals((byte) fourth.access(view -> view.get(0)), 9);
            assertEquals((byte) fourth.access(view -> view.get(1023)), 11);
            long largest = pool.statistics().largestView();
            assertTrue(largest > 1900L << 20, "the largest block is " + largest);
            Block<ByteBuffer> whole = take(pool, largest);
            whole.access(view -> view.put((int) largest - 1, (byte) 5));
            assertTrue(pool.tryAllocate(largest + 1).isEmpty());
        }
    }
}
