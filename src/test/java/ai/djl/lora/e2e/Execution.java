/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cli.DjlLora;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;

/**
 * What a program printed, and how it ended.
 *
 * @param exitCode its exit code
 * @param out its standard output
 * @param err its standard error
 */
record Execution(int exitCode, String out, String err) {

    private static final long TIMEOUT_MINUTES = 5;

    /** Runs the command line in this JVM. */
    static Execution inProcess(Object... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        String[] texts = Arrays.stream(args).map(String::valueOf).toArray(String[]::new);
        int exitCode = DjlLora.run(new PrintWriter(out), new PrintWriter(err), texts);
        return new Execution(exitCode, out.toString(), err.toString());
    }

    /** Runs a class of the tests' class path in a JVM of its own, in the repository's root. */
    static Execution java(
            Class<?> main, List<String> options, Map<String, String> environment, String... args)
            throws IOException, InterruptedException {
        String classPath = System.getProperty("java.class.path");
        return java(classPath, main, options, environment, args);
    }

    /** Runs a class in a JVM of its own, in the repository's root. */
    static Execution java(
            String classPath,
            Class<?> main,
            List<String> options,
            Map<String, String> environment,
            String... args)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir"));
        command.add("-Dai.djl.offline=true");
        command.add("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        if (Runtime.version().feature() >= 22) {
            command.add("--enable-native-access=ALL-UNNAMED");
        }
        command.addAll(options);
        command.addAll(List.of("-cp", classPath, main.getName()));
        command.addAll(List.of(args));
        return process(Repository.ROOT, environment, "", command);
    }

    /** Runs a program. */
    static Execution process(
            Path directory, Map<String, String> environment, String input, List<String> command)
            throws IOException, InterruptedException {
        Path out = Files.createTempFile("djl-lora-test", ".out");
        Path err = Files.createTempFile("djl-lora-test", ".err");
        try {
            ProcessBuilder builder =
                    new ProcessBuilder(command)
                            .directory(directory.toFile())
                            .redirectOutput(out.toFile())
                            .redirectError(err.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            try (var stdin = process.getOutputStream()) {
                stdin.write(input.getBytes(StandardCharsets.UTF_8));
            }
            if (!process.waitFor(TIMEOUT_MINUTES, TimeUnit.MINUTES)) {
                process.destroyForcibly().waitFor();
                Assert.fail(
                        command
                                + " did not end; it printed "
                                + Files.readString(out)
                                + Files.readString(err));
            }
            return new Execution(process.exitValue(), Files.readString(out), withoutJvmNotice(err));
        } finally {
            Files.delete(out);
            Files.delete(err);
        }
    }

    /** Returns what a program said, without what a JVM says where JAVA_TOOL_OPTIONS is set. */
    private static String withoutJvmNotice(Path err) throws IOException {
        return Files.readString(err).replaceAll("(?m)^Picked up JAVA_TOOL_OPTIONS: .*\\R", "");
    }

    /** Checks the exit code. */
    Execution assertExitCode(int expected) {
        Assert.assertEquals(exitCode, expected, "exit code; it printed\n" + out + err);
        return this;
    }
}
