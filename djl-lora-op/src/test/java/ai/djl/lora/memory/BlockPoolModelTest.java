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
import org.testng.annotations.Test;

/** A pool against a list of what lies where, over random sequences of operations. */
public class BlockPoolModelTest {

    private static final int SEQUENCES = 2_000;
    private static final int OPERATIONS = 120;
    private static final int UNITS = 48;
    private static final int UNIT = BlockPool.ALIGNMENT;

    @Test
    public void doesWhatTheModelDoes() {
        long moved = 0;
        long refused = 0;
        for (int seed = 0; seed < SEQUENCES; ++seed) {
            try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(UNITS * UNIT))) {
                Run run = new Run(pool, seed);
                for (int i = 0; i < OPERATIONS; ++i) {
                    run.step();
                    run.compare();
                }
                run.entries.forEach(Entry::unpinAll);
                moved += pool.statistics().moves();
                refused += pool.statistics().refusals();
            }
        }
        // the sequences are worth something only if they come to these
        assertTrue(moved > SEQUENCES, moved + " moves");
        assertTrue(refused > SEQUENCES, refused + " refusals");
    }

    /** A block, what the model knows of it, and what was written into it. */
    private static final class Entry {

        private final Block<ByteBuffer> block;
        private final byte[] content;
        private final List<Pin<ByteBuffer>> pins = new ArrayList<>();
        private int unit;

        Entry(Block<ByteBuffer> block, byte[] content, int unit) {
            this.block = block;
            this.content = content;
            this.unit = unit;
        }

        int units() {
            return (content.length + UNIT - 1) / UNIT;
        }

        void unpinAll() {
            pins.forEach(Pin::close);
            pins.clear();
        }
    }

    private static final class Run {

        private final BlockPool<ByteBuffer> pool;
        private final SplittableRandom random;

        /** In the order of their places. */
        private final List<Entry> entries = new ArrayList<>();

        private final String name;

        Run(BlockPool<ByteBuffer> pool, int seed) {
            this.pool = pool;
            random = new SplittableRandom(seed);
            name = "seed " + seed;
        }

        void step() {
            int choice = random.nextInt(20);
            if (choice < 9 || entries.isEmpty()) {
                allocate(1 + random.nextInt(random.nextInt(4) == 0 ? 10 * UNIT : 2 * UNIT));
                return;
            }
            Entry entry = entries.get(random.nextInt(entries.size()));
            if (choice < 14) {
                if (entry.pins.isEmpty()) {
                    pool.free(entry.block);
                    entries.remove(entry);
                }
            } else if (choice < 16) {
                entry.pins.add(entry.block.pin());
            } else if (choice < 18) {
                entry.unpinAll();
            } else {
                defragment(1 + random.nextInt(UNITS * UNIT));
            }
        }

        private void allocate(int bytes) {
            int units = (bytes + UNIT - 1) / UNIT;
            int best = -1;
            int bestSize = Integer.MAX_VALUE;
            for (int[] hole : holes()) {
                if (hole[1] >= units && hole[1] < bestSize) {
                    best = hole[0];
                    bestSize = hole[1];
                }
            }
            Optional<Block<ByteBuffer>> block = pool.tryAllocate(bytes);
            assertEquals(block.isPresent(), best >= 0, name);
            if (block.isPresent()) {
                byte[] content = new byte[bytes];
                random.nextBytes(content);
                block.get().access(view -> view.put(content));
                int at = 0;
                while (at < entries.size() && entries.get(at).unit < best) {
                    ++at;
                }
                entries.add(at, new Entry(block.get(), content, best));
            }
        }

        private void defragment(int enough) {
            int wanted = (enough + UNIT - 1) / UNIT;
            int blocks = 0;
            long bytes = 0;
            int end = 0;
            for (Entry entry : entries) {
                if (largestHole() >= wanted) {
                    break;
                }
                if (entry.pins.isEmpty() && entry.unit > end) {
                    entry.unit = end;
                    ++blocks;
                    bytes += (long) entry.units() * UNIT;
                }
                end = entry.unit + entry.units();
            }
            assertEquals(pool.defragment(enough), new Defragmentation(blocks, bytes), name);
        }

        /** Returns {first unit, units} of each free range, in the order of their places. */
        private List<int[]> holes() {
            List<int[]> holes = new ArrayList<>();
            int end = 0;
            for (Entry entry : entries) {
                if (entry.unit > end) {
                    holes.add(new int[] {end, entry.unit - end});
                }
                end = entry.unit + entry.units();
            }
            if (end < UNITS) {
                holes.add(new int[] {end, UNITS - end});
            }
            return holes;
        }

        private int largestHole() {
            return holes().stream().mapToInt(hole -> hole[1]).max().orElse(0);
        }

        void compare() {
            long used = 0;
            long requested = 0;
            for (Entry entry : entries) {
                assertEquals(entry.block.chunk().address, (long) entry.unit * UNIT, name);
                byte[] read = new byte[entry.content.length];
                entry.block.access(view -> view.get(read));
                assertEquals(read, entry.content, name);
                used += (long) entry.units() * UNIT;
                requested += entry.content.length;
            }
            PoolStatistics statistics = pool.statistics();
            assertEquals(statistics.used(), used, name);
            assertEquals(statistics.requested(), requested, name);
            assertEquals(statistics.blocks(), entries.size(), name);
            assertEquals(statistics.freeRanges(), holes().size(), name);
            assertEquals(statistics.largest(), (long) largestHole() * UNIT, name);
            assertTrue(statistics.used() <= statistics.limit(), name);
        }
    }
}
