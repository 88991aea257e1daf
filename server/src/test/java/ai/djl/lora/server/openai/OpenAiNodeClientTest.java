/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.server.DemoServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/**
 * A conversation with the server through OpenAI's own client for JavaScript, in Node.js. Left out
 * where Node.js 20 or npm is missing, or the package can neither be downloaded nor found in npm's
 * cache; its version and hash are pinned by the lock file beside the script.
 */
public class OpenAiNodeClientTest {

    private static final Path SOURCES = Path.of("src/test/js/openai-client");
    private static final List<String> PARTS =
            List.of(
                    "adapters",
                    "answer",
                    "streaming",
                    "errors",
                    "cancellation",
                    "logprobs",
                    "structuredOutput",
                    "embeddings",
                    "models");

    @Test
    public void testConversation() throws Exception {
        Path folder = Path.of("target/openai-client").toAbsolutePath();
        Files.createDirectories(folder);
        for (String file : List.of("package.json", "package-lock.json", "conversation.mjs")) {
            Files.copy(
                    SOURCES.resolve(file),
                    folder.resolve(file),
                    StandardCopyOption.REPLACE_EXISTING);
        }
        Path log = folder.resolve("npm.log");
        int status = run(folder, log, "node", "--version");
        String version = Files.exists(log) ? Files.readString(log).trim() : "";
        if (status != 0 || !version.matches("v(2[0-9]|[3-9][0-9])\\..*")) {
            throw new SkipException("Node.js 20 or newer is not there, found " + version);
        }
        if (run(
                        folder,
                        log,
                        "npm",
                        "ci",
                        "--prefer-offline",
                        "--ignore-scripts",
                        "--no-audit",
                        "--no-fund")
                != 0) {
            throw new SkipException("npm cannot install the client: " + Files.readString(log));
        }
        try (DemoServer demo = new DemoServer()) {
            Path out = folder.resolve("conversation.log");
            status = run(folder, out, "node", "conversation.mjs", demo.server().uri().toString());
            String said = Files.readString(out);
            Assert.assertEquals(status, 0, said);
            Assert.assertEquals(said.lines().toList(), PARTS);
        }
    }

    /** Returns the exit status; 127, as shells have it, if there is no such program. */
    private static int run(Path folder, Path log, String... command)
            throws InterruptedException, IOException {
        Process process;
        try {
            process =
                    new ProcessBuilder(command)
                            .directory(folder.toFile())
                            .redirectErrorStream(true)
                            .redirectOutput(log.toFile())
                            .start();
        } catch (IOException e) {
            return 127;
        }
        if (!process.waitFor(120, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            Assert.fail(
                    String.join(" ", command) + " did not end in time: " + Files.readString(log));
        }
        return process.exitValue();
    }
}
