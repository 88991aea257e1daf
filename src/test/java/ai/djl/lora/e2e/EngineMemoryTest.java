/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.jni.LoraLibrary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** An engine that runs for long takes no more memory, threads or garbage collection with time. */
public class EngineMemoryTest {

    /** A day of steps of 50 ms is 1,728,000. */
    private static final String STEPS = "20000";

    /** A byte lost for each token of the second half would be a tenth of this. */
    private static final long ALLOWED_BYTES = 8L << 20;

    /** The JVM's own compilers and common pool come and go; thousands of requests are made. */
    private static final long ALLOWED_THREADS = 4;

    /** What a busy machine may add to a quarter's time in garbage collection. */
    private static final long ALLOWED_MILLIS = 1_000;

    @Test
    public void testManySteps() throws Exception {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        if (!Files.exists(Path.of("/proc/self/statm"))) {
            throw new SkipException("there is no /proc/self/statm on this system");
        }
        Path folder = Repository.GOLDENS.resolve("qwen2");
        Execution run =
                Execution.java(
                                EngineProbe.class,
                                List.of(
                                        "-XX:TieredStopAtLevel=1",
                                        "-Xms256m",
                                        "-Xmx256m",
                                        "-XX:+AlwaysPreTouch",
                                        "-XX:+UseSerialGC"),
                                Map.of("OMP_WAIT_POLICY", "passive"),
                                folder.resolve("model").toString(),
                                folder.resolve("adapter").toString(),
                                STEPS)
                        .assertExitCode(0);
        Map<String, Long> told =
                run.out()
                        .lines()
                        .map(line -> line.split(" "))
                        .filter(words -> words.length == 2)
                        .collect(
                                Collectors.toMap(word -> word[0], word -> Long.parseLong(word[1])));
        Assert.assertTrue(told.get("steps") >= Long.parseLong(STEPS), run.out());
        Assert.assertTrue(told.get("preemptions") > 0, run.out());
        Assert.assertTrue(told.get("resident") <= ALLOWED_BYTES, run.out());
        Assert.assertEquals(told.get("arrays"), Long.valueOf(0), run.out());
        Assert.assertTrue(told.get("threads") <= ALLOWED_THREADS, run.out());
        Assert.assertTrue(told.get("processThreads") <= ALLOWED_THREADS, run.out());
        Assert.assertTrue(
                told.get("collectionAfter") <= 2 * told.get("collectionBefore") + ALLOWED_MILLIS,
                run.out());
    }
}
