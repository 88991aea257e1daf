/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/**
 * When bin/djl-lora builds and what it runs, in a checkout of its own whose Maven is a script that
 * counts its calls and whose command line is a class that prints its arguments.
 */
public class LauncherTest {

    private static final String MAIN =
            """
            package ai.djl.lora.cli;
            public class DjlLora {
                public static void main(String[] args) {
                    System.out.println(String.join("|", args));
                    System.out.println(System.getProperty("ai.djl.offline"));
                    System.exit(args.length == 0 ? 0 : Integer.parseInt(args[0]));
                }
            }
            """;

    private static final String MAVEN =
            """
            #!/bin/sh
            echo "$PWD $*" >> "$BUILDS"
            sleep 1
            [ -z "$BREAK" ] || exit 1
            mkdir -p cli/target/lib
            cp "$JAR" cli/target/cli-1.jar
            cp "$JAR" cli/target/cli-1-sources.jar
            touch cli/target/djl-lora.stamp
            """;

    private static final List<String> TOOLS =
            List.of(
                    "bash",
                    "sh",
                    "cp",
                    "dirname",
                    "find",
                    "flock",
                    "head",
                    "mkdir",
                    "readlink",
                    "sed",
                    "sleep",
                    "touch");

    private Path folder;
    private Path root;
    private Path launcher;
    private Path builds;
    private Map<String, String> environment;

    @BeforeMethod
    public void makeCheckout() throws IOException {
        folder = Files.createTempDirectory("launcher").toRealPath();
        root = Files.createDirectories(folder.resolve("a checkout"));
        launcher = root.resolve("bin/djl-lora");
        builds = folder.resolve("builds");
        Files.createDirectory(root.resolve("bin"));
        Files.copy(
                Repository.ROOT.resolve("bin/djl-lora"),
                launcher,
                StandardCopyOption.COPY_ATTRIBUTES);
        source("pom.xml");
        source("cli/pom.xml");
        source("cli/src/main/java/A.java");
        source("cli/src/test/java/ATest.java");
        source("docs/README.md");
        Path tools = Files.createDirectory(folder.resolve("tools"));
        for (String tool : TOOLS) {
            for (String bin : new String[] {"/usr/bin", "/bin"}) {
                if (Files.exists(Path.of(bin, tool)) && !Files.exists(tools.resolve(tool))) {
                    Files.createSymbolicLink(tools.resolve(tool), Path.of(bin, tool));
                }
            }
        }
        script(tools.resolve("mvn"), MAVEN);
        environment = new TreeMap<>();
        environment.put("PATH", tools.toString());
        environment.put("JAVA_HOME", System.getProperty("java.home"));
        environment.put("JAVA_OPTS", "");
        environment.put("BUILDS", builds.toString());
        environment.put("BREAK", "");
        environment.put("JAR", jar().toString());
    }

    @AfterMethod(alwaysRun = true)
    public void deleteCheckout() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Test
    public void testFirstUseBuilds() throws Exception {
        Execution first = run("0", "two words", "*").assertExitCode(0);
        Assert.assertEquals(first.out(), "0|two words|*\ntrue\n");
        Assert.assertEquals(
                first.err(),
                "djl-lora: building (the first time, and when sources have changed)\n");
        List<String> calls = Files.readAllLines(builds);
        Assert.assertEquals(calls.size(), 1);
        Assert.assertTrue(
                calls.get(0).startsWith(root + " -q -B -pl cli -am package "), calls.get(0));
        Assert.assertFalse(calls.get(0).matches(".* (-o|--offline)( .*|$)"), calls.get(0));

        Execution second = run("7").assertExitCode(7);
        Assert.assertEquals(second.err(), "");
        Assert.assertEquals(Files.readAllLines(builds).size(), 1, "nothing has changed");
    }

    @Test
    public void testChangedSourcesAreBuilt() throws Exception {
        run().assertExitCode(0);
        for (String other : new String[] {"docs/README.md", "cli/src/test/java/ATest.java"}) {
            touch(other);
            run().assertExitCode(0);
            Assert.assertEquals(Files.readAllLines(builds).size(), 1, other);
        }
        int expected = 1;
        for (String source : new String[] {"cli/src/main/java/A.java", "cli/pom.xml", "pom.xml"}) {
            touch(source);
            run().assertExitCode(0);
            Assert.assertEquals(Files.readAllLines(builds).size(), ++expected, source);
            // What lies in the future would be newer than every build.
            Files.setLastModifiedTime(root.resolve(source), FileTime.from(Instant.EPOCH));
        }
    }

    @Test
    public void testSymbolicLinks() throws Exception {
        Path elsewhere = Files.createDirectories(folder.resolve("else/where"));
        Files.createSymbolicLink(folder.resolve("direct"), launcher);
        Files.createSymbolicLink(elsewhere.resolve("relative"), Path.of("../../direct"));
        Execution run =
                Execution.process(
                        elsewhere,
                        environment,
                        "",
                        List.of(elsewhere.resolve("relative").toString()));
        run.assertExitCode(0);
        Assert.assertTrue(Files.exists(root.resolve("cli/target/cli-1.jar")));
    }

    @Test
    public void testTwoFirstUsesBuildOnce() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            Callable<Execution> use = () -> run("0");
            for (Future<Execution> future : threads.invokeAll(List.of(use, use))) {
                future.get().assertExitCode(0);
            }
        } finally {
            threads.shutdownNow();
        }
        Assert.assertEquals(Files.readAllLines(builds).size(), 1);
    }

    @Test
    public void testFailedBuild() throws Exception {
        environment.put("BREAK", "yes");
        Execution run = run().assertExitCode(2);
        Assert.assertEquals(run.out(), "");
        Assert.assertTrue(
                run.err().endsWith("djl-lora: the build failed; its messages are above\n"),
                run.err());
        environment.put("BREAK", "");
        run().assertExitCode(0);
    }

    @Test
    public void testMissingTools() throws Exception {
        Files.delete(folder.resolve("tools/mvn"));
        assertRefused("djl-lora: no mvn on the PATH");
        environment.put("JAVA_HOME", "");
        assertRefused("djl-lora: no java on the PATH and JAVA_HOME is not set");
        environment.put("JAVA_HOME", folder.toString());
        assertRefused("djl-lora: JAVA_HOME is " + folder + ", which has no bin/java");
    }

    @Test
    public void testOldJava() throws Exception {
        Path home = folder.resolve("jdk11");
        Files.createDirectories(home.resolve("bin"));
        script(home.resolve("bin/java"), "#!/bin/sh\nexit 99\n");
        Files.writeString(home.resolve("release"), "JAVA_VERSION=\"11.0.2\"\n");
        environment.put("JAVA_HOME", home.toString());
        assertRefused("djl-lora: " + home + "/bin/java is version 11; expected 17 or later");
        // A JDK without that file is asked itself.
        Files.delete(home.resolve("release"));
        script(home.resolve("bin/java"), "#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n");
        assertRefused("djl-lora: " + home + "/bin/java is version 1; expected 17 or later");
    }

    private void assertRefused(String start) throws Exception {
        Execution run = run().assertExitCode(2);
        Assert.assertTrue(run.err().startsWith(start), run.err());
        Assert.assertEquals(run.err().lines().count(), 1, run.err());
    }

    private Execution run(String... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(launcher.toString()));
        command.addAll(List.of(args));
        return Execution.process(folder, environment, "", command);
    }

    private void source(String name) throws IOException {
        Path file = root.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, name);
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofHours(1))));
    }

    private void touch(String name) throws IOException {
        Files.setLastModifiedTime(
                root.resolve(name), FileTime.from(Instant.now().plus(Duration.ofHours(1))));
    }

    private static void script(Path file, String text) throws IOException {
        Files.writeString(file, text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Path jar() throws IOException {
        Path source = folder.resolve("DjlLora.java");
        Files.writeString(source, MAIN);
        Path classes = Files.createDirectory(folder.resolve("classes"));
        int failures =
                ToolProvider.getSystemJavaCompiler()
                        .run(null, null, null, "-d", classes.toString(), source.toString());
        Assert.assertEquals(failures, 0);
        Path jar = folder.resolve("cli.jar");
        String entry = "ai/djl/lora/cli/DjlLora.class";
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out)) {
            entries.putNextEntry(new JarEntry(entry));
            Files.copy(classes.resolve(entry), entries);
        }
        return jar;
    }
}
