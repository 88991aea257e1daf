/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * Uses pools for a long time and prints by how many pages the process grew. A program of its own,
 * so that nothing but the pools can make it grow; {@link PoolSoakTest} runs it.
 */
final class PoolSoak {

    private static final int BYTES = 16 << 20;

    private PoolSoak() {}

    /** Takes the number of operations, and half as many again to warm up. */
    public static void main(String[] args) throws IOException {
        int operations = Integer.parseInt(args[0]);
        SplittableRandom random = new SplittableRandom(7);
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(BYTES))) {
            // every page of the arena is in use before the first look
            Block<ByteBuffer> all = pool.tryAllocate(BYTES).orElseThrow();
            all.access(
                    bytes -> {
                        for (int i = 0; i < BYTES; i += 1024) {
                            bytes.put(i, (byte) 1);
                        }
                        return null;
                    });
            pool.free(all);
            use(pool, random, operations / 2);
            openAndClose(operations / 2_000);
            long before = residentPages();
            use(pool, random, operations);
            openAndClose(operations / 1_000);
            System.out.println(residentPages() - before);
        }
    }

    private static void use(BlockPool<ByteBuffer> pool, SplittableRandom random, int operations) {
        @SuppressWarnings({"unchecked", "rawtypes"})
        Block<ByteBuffer>[] blocks = new Block[512];
        for (int i = 0; i < operations; ++i) {
            int at = random.nextInt(blocks.length);
            if (blocks[at] == null) {
                int size = 1 + random.nextInt(64 << 10);
                blocks[at] = pool.tryAllocate(size).orElse(null);
            } else {
                int last = (int) blocks[at].bytes() - 1;
                blocks[at].access(bytes -> bytes.put(last, (byte) 1));
                pool.free(blocks[at]);
                blocks[at] = null;
            }
            if (i % 10_000 == 0) {
                pool.defragment();
            }
        }
        for (Block<ByteBuffer> block : blocks) {
            if (block != null) {
                pool.free(block);
            }
        }
    }

    private static void openAndClose(int times) {
        for (int i = 0; i < times; ++i) {
            try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(1 << 20))) {
                Block<ByteBuffer> block = pool.tryAllocate(1 << 20).orElseThrow();
                block.access(bytes -> bytes.put(new byte[1 << 20]));
            }
        }
    }

    private static long residentPages() throws IOException {
        System.gc();
        return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
    }
}
