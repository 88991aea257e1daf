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

/** 10,000 calls of the operator and 1,000 loads and closes of an adapter leave memory as it was. */
public class MemoryTest {

    private static final long ALLOWED_BYTES = 8L << 20;

    @Test
    public void testCpu() throws Exception {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException(LoraLibrary.unavailableReason());
        }
        run("cpu");
    }

    @Test
    public void testPytorch() throws Exception {
        run("pytorch");
    }

    private static void run(String backend) throws Exception {
        if (!Files.exists(Path.of("/proc/self/statm"))) {
            throw new SkipException("there is no /proc/self/statm on this system");
        }
        Path folder = Repository.GOLDENS.resolve("qwen2");
        Execution run =
                Execution.java(
                                MemoryProbe.class,
                                // A heap that is all in memory from the start cannot grow, and the
                                // first compiler alone keeps no megabytes of its own between
                                // methods.
                                List.of(
                                        "-XX:TieredStopAtLevel=1",
                                        "-Xms256m",
                                        "-Xmx256m",
                                        "-XX:+AlwaysPreTouch",
                                        "-XX:+UseSerialGC"),
                                Map.of(),
                                folder.resolve("model").toString(),
                                folder.resolve("adapter").toString(),
                                backend)
                        .assertExitCode(0);
        Map<String, Long> growth =
                run.out()
                        .lines()
                        .map(line -> line.split(" "))
                        .collect(
                                Collectors.toMap(word -> word[0], word -> Long.parseLong(word[1])));
        Assert.assertTrue(growth.get("calls") <= ALLOWED_BYTES, run.out());
        Assert.assertTrue(growth.get("loads") <= ALLOWED_BYTES, run.out());
        Assert.assertTrue(growth.get("calls") + growth.get("loads") <= ALLOWED_BYTES, run.out());
        Assert.assertEquals(growth.get("arrays"), Long.valueOf(0), run.out());
    }
}
