/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.Test;

public class ConfigCheckTest {

    @Test
    public void testEveryMistakeHasItsLine() throws IOException {
        Path file = Files.createTempFile("residency", ".yaml");
        try {
            Files.writeString(file, "preset: testing\ndevice:\n  adapters: none\n  bites: 3\n");
            StringWriter err = new StringWriter();
            StringWriter out = new StringWriter();
            int code = check(file, out, err);
            Assert.assertEquals(code, 2);
            Assert.assertEquals(out.toString(), "");
            Assert.assertEquals(
                    err.toString().lines().toList(),
                    java.util.List.of(
                            file
                                    + ":1: preset is \"testing\"; allowed is one of development,"
                                    + " production",
                            file
                                    + ":3: device.adapters is \"none\"; allowed is a whole number"
                                    + " from 1 to 1000000",
                            file
                                    + ":4: unknown key \"device.bites\"; nearest are bytes,"
                                    + " adapters, strategy"));
        } finally {
            Files.delete(file);
        }
    }

    @Test
    public void testWhatHoldsIsTold() throws IOException {
        Path file = Files.createTempFile("residency", ".yaml");
        try {
            Files.writeString(file, "device: {adapters: 8, bytes: 2MiB, strategy: lru}\n");
            StringWriter out = new StringWriter();
            Assert.assertEquals(check(file, out, new StringWriter()), 0);
            Assert.assertEquals(
                    out.toString().lines().findFirst().orElseThrow(),
                    "device    8 adapters, 2097152 bytes, lru");
        } finally {
            Files.delete(file);
        }
    }

    private static int check(Path file, StringWriter out, StringWriter err) {
        return DjlLora.run(
                new PrintWriter(out), new PrintWriter(err), "config", "check", file.toString());
    }
}
