/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

public class HostArenaTest {

    private static final Path STATUS = Path.of("/proc/self/status");
    private static final int BLOCK = 1 << 20;

    @Test
    public void trimmedMemoryIsTheSystemsAgain() throws IOException {
        if (!Files.isReadable(STATUS)) {
            throw new SkipException("Only Linux tells how much memory a process has");
        }
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new HostArena(128L << 20))) {
            List<Block<ByteBuffer>> blocks = new ArrayList<>();
            for (int i = 0; i < 100; ++i) {
                byte number = (byte) i;
                blocks.add(pool.tryAllocate(BLOCK).orElseThrow());
                blocks.get(i).access(view -> fill(view, number));
            }
            long full = resident();
            for (int i = 0; i < 100; ++i) {
                if (i % 10 != 0) {
                    pool.free(blocks.get(i));
                }
            }
            long before = resident();
            Assert.assertTrue(before > full - (16L << 20), "freed blocks keep their pages");
            long given = pool.trim();
            Assert.assertTrue(given > 80L << 20, given + " bytes");
            long left = resident();
            // others of this process may take some meanwhile
            Assert.assertTrue(left < before - (60L << 20), before + " and then " + left);
            for (int i = 0; i < 100; i += 10) {
                byte number = (byte) i;
                Assert.assertTrue(blocks.get(i).access(view -> isFull(view, number)), "block " + i);
            }
            // what was given back can be used again
            Block<ByteBuffer> again = pool.tryAllocate(BLOCK).orElseThrow();
            again.access(view -> fill(view, (byte) 7));
            Assert.assertTrue(again.access(view -> isFull(view, (byte) 7)));
        }
    }

    private static ByteBuffer fill(ByteBuffer view, byte number) {
        while (view.hasRemaining()) {
            view.put(number);
        }
        return view;
    }

    private static boolean isFull(ByteBuffer view, byte number) {
        while (view.hasRemaining()) {
            if (view.get() != number) {
                return false;
            }
        }
        return true;
    }

    private static long resident() throws IOException {
        String line =
                Files.readAllLines(STATUS).stream()
                        .filter(each -> each.startsWith("VmRSS:"))
                        .findFirst()
                        .orElseThrow();
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
    }
}
