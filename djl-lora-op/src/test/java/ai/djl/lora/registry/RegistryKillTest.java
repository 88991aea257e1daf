/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.TempDirectory;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Processes that are killed with SIGKILL while they write a registry.
 *
 * <p>{@code -Ddjl.lora.kills=200} sets how many, 40 by default.
 */
public class RegistryKillTest {

    private static final int KILLS = Integer.getInteger("djl.lora.kills", 40);

    @Test
    public void registryIsAsBeforeOrAfterTheWriteThatWasCutOff()
            throws IOException, InterruptedException {
        SplittableRandom random = new SplittableRandom();
        AdapterRegistry expected = Registries.inMemory();
        int after = 0;
        int opening = 0;
        try (TempDirectory temp = new TempDirectory()) {
            Path directory = temp.path().resolve("registry");
            for (int i = 0; i < KILLS; ++i) {
                long before = expected.sequence();
                // the log is written anew every few dozen changes, so that kills hit that as well
                Process process =
                        ChildProcess.start(RegistrySteps.class, List.of(), directory, 16_384);
                long confirmed = killed(process, i % 8 == 7, random);
                try (AdapterRegistry registry = Registries.open(directory)) {
                    long found = registry.sequence();
                    String what = "confirmed up to " + confirmed + ", found " + found;
                    if (confirmed == 0) {
                        // it came to its end before the first change was confirmed
                        ++opening;
                        confirmed = before;
                    }
                    Assert.assertTrue(found == confirmed || found == confirmed + 1, what);
                    after += found == confirmed + 1 ? 1 : 0;
                    while (expected.sequence() < found) {
                        RegistrySteps.step(expected);
                    }
                    Assert.assertEquals(
                            Registries.content(registry), Registries.content(expected), what);
                }
            }
        }
        System.out.printf(
                "%d processes killed: %d before their first change, %d between a write and its"
                        + " confirmation; %d changes%n",
                KILLS, opening, after, expected.sequence());
        Assert.assertTrue(expected.sequence() > KILLS, "the processes hardly wrote");
    }

    /** Kills a process at some moment; returns the last change that it had confirmed, or 0. */
    private static long killed(Process process, boolean early, SplittableRandom random)
            throws IOException, InterruptedException {
        try (BufferedReader reader = process.inputReader(StandardCharsets.US_ASCII)) {
            String line = null;
            if (early) {
                Thread.sleep(random.nextInt(300));
            } else {
                line = reader.readLine();
                Assert.assertNotNull(line, "the process ended by itself");
                Thread.sleep(0, random.nextInt(1_000_000));
                Thread.sleep(random.nextInt(30));
            }
            // Process' own method would close the stream that is still to be read
            process.toHandle().destroyForcibly();
            if (early) {
                line = reader.readLine();
            }
            long confirmed = 0;
            while (line != null) {
                confirmed = Long.parseLong(line);
                line = reader.readLine();
            }
            // 137 is 128 + SIGKILL: it neither failed nor ended by itself
            Assert.assertEquals(process.waitFor(), 137);
            return confirmed;
        }
    }
}
