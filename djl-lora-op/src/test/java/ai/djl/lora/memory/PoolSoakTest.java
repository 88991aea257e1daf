/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** A pool in use takes no more memory than it had at first. */
public class PoolSoakTest {

    private static final Logger logger = LoggerFactory.getLogger(PoolSoakTest.class);

    /** 16 bytes lost by each operation would be 4 times this. */
    private static final int MOST_PAGES = 1_000;

    @Test(timeOut = 120_000)
    public void aMillionOperationsTakeNoMemory() throws Exception {
        if (!Files.isReadable(Path.of("/proc/self/statm"))) {
            throw new SkipException("There is no /proc/self/statm here");
        }
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                // a heap that is there from the start does not grow
                                "-Xms48m",
                                "-Xmx48m",
                                "-XX:+AlwaysPreTouch",
                                "-XX:+UseSerialGC",
                                // the second compiler takes megabytes whenever it gets to run
                                "-XX:TieredStopAtLevel=1",
                                "-cp",
                                System.getProperty("java.class.path"),
                                PoolSoak.class.getName(),
                                "1000000")
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        String output =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertEquals(process.waitFor(), 0, output);
        logger.info("The process grew by {} pages", output);
        assertTrue(Long.parseLong(output) < MOST_PAGES, output + " pages");
    }
}
