/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cli.DjlLora;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;

/** A server in a process of its own, as {@code djl-lora serve} starts it. */
final class ServedProcess implements AutoCloseable {

    private static final String READY = "Listening on ";

    private final Process process;
    private final Path errors;
    private final URI uri;

    /**
     * Starts a server on a free port, and waits until it listens.
     *
     * @param jvm options of the JVM
     * @param options options of {@code serve}, without the port
     */
    ServedProcess(List<String> jvm, List<String> options) throws IOException {
        errors = Files.createTempFile("djl-lora-served", ".err");
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir"));
        command.add("-Dai.djl.offline=true");
        command.add("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        if (Runtime.version().feature() >= 22) {
            command.add("--enable-native-access=ALL-UNNAMED");
        }
        command.addAll(jvm);
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(DjlLora.class.getName(), "serve", "--port", "0"));
        command.addAll(options);
        process =
                new ProcessBuilder(command)
                        .directory(Repository.ROOT.toFile())
                        .redirectError(errors.toFile())
                        .start();
        BufferedReader out =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line = out.readLine();
        Assert.assertTrue(
                line != null && line.startsWith(READY), line + Files.readString(errors));
        uri = URI.create(line.substring(READY.length()));
    }

    URI uri() {
        return uri;
    }

    /** Returns what the server has said on its standard error. */
    String errors() throws IOException {
        return Files.readString(errors);
    }

    /** Tells the server to end, and returns whether it did in time. */
    boolean end(long seconds) throws InterruptedException {
        process.destroy();
        return process.waitFor(seconds, TimeUnit.SECONDS);
    }

    @Override
    public void close() throws IOException {
        process.destroyForcibly();
        try {
            process.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Files.delete(errors);
    }
}
