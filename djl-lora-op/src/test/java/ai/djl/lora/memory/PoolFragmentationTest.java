/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.annotations.Test;

/** How much of a pool's free memory is of use after a long time. */
public class PoolFragmentationTest {

    private static final Logger logger = LoggerFactory.getLogger(PoolFragmentationTest.class);

    private static final int OPERATIONS = 100_000;
    private static final int BYTES = 64 << 20;

    private final SplittableRandom random = new SplittableRandom(11);
    private final List<Block<ByteBuffer>> blocks = new ArrayList<>();
    private final List<Pin<ByteBuffer>> pins = new ArrayList<>();
    private final List<Block<ByteBuffer>> pinned = new ArrayList<>();

    @Test
    public void defragmentationLeavesOnePiece() {
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(BYTES))) {
            int number = 0;
            for (int i = 0; i < OPERATIONS; ++i) {
                if (i % 20_000 == 10_000) {
                    // blocks that are in use stay in the way
                    pool.defragment();
                }
                if (random.nextInt(100) < 5 && !blocks.isEmpty()) {
                    pinOrUnpin();
                } else if (random.nextInt(100) < 55) {
                    // from 1 to 512 kB, as many of each power of two
                    int size = (1 << 10 + random.nextInt(9)) + random.nextInt(1 << 10);
                    Optional<Block<ByteBuffer>> block = pool.tryAllocate(size);
                    if (block.isPresent()) {
                        int mark = number++;
                        block.get().access(bytes -> bytes.putInt(0, mark).putInt(size - 4, mark));
                        blocks.add(block.get());
                    }
                } else if (!blocks.isEmpty()) {
                    int at = random.nextInt(blocks.size());
                    if (!pinned.contains(blocks.get(at))) {
                        pool.free(blocks.get(at));
                        blocks.set(at, blocks.get(blocks.size() - 1));
                        blocks.remove(blocks.size() - 1);
                    }
                }
            }
            PoolStatistics before = pool.statistics();
            pins.forEach(Pin::close);
            pool.defragment();
            PoolStatistics after = pool.statistics();
            logger.info("Before: {} {}", before.fragmentation(), before);
            logger.info("After: {} {}", after.fragmentation(), after);
            assertTrue(before.fragmentation() > 0.1, "there was something to do: " + before);
            assertTrue(before.refusals() > 0, "the pool was full at times");
            assertTrue(after.fragmentation() < 0.1, after.toString());
            assertEquals(after.used(), before.used());
            for (Block<ByteBuffer> block : blocks) {
                int last = (int) block.bytes() - 4;
                int mark = block.access(bytes -> bytes.getInt(0));
                assertEquals((int) block.access(bytes -> bytes.getInt(last)), mark);
            }
        }
    }

    private void pinOrUnpin() {
        if (pins.size() > 8) {
            int at = random.nextInt(pins.size());
            pins.remove(at).close();
            pinned.remove(at);
        } else {
            Block<ByteBuffer> block = blocks.get(random.nextInt(blocks.size()));
            pins.add(block.pin());
            pinned.add(block);
        }
    }
}
