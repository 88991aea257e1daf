/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.util.Utils;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Loading the library out of the packaged jar, each time in a JVM of its own. */
public class LoraLibraryIT {

    private static final String PROPERTIES = "native/lib/djl_lora.properties";
    private static final String LIBRARY = "native/lib/linux-x86_64/libdjl_lora.so";

    private Path jar;
    private Path work;
    private Path cache;
    private String version;

    /** How a probe ended. */
    private record Outcome(String output, String first, String second, String reason) {

        void assertLoaded() {
            Assert.assertTrue(first.startsWith("loaded "), output);
            Assert.assertEquals(second, first);
            Assert.assertEquals(reason, "null");
        }

        void assertFailed(String... parts) {
            for (String part : parts) {
                Assert.assertTrue(first.startsWith("failed ") && first.contains(part), output);
            }
            Assert.assertEquals(second, first, "the first failure is remembered");
            Assert.assertEquals("failed " + reason, first);
        }
    }

    @BeforeClass
    public void findJar() throws IOException {
        NativeTestBase.requireLibrary();
        jar = Paths.get(System.getProperty("packaged.jar")).toAbsolutePath();
        Assert.assertTrue(Files.isRegularFile(jar), jar + " is missing");
        version = NativeTestBase.bundled().getProperty("version");
    }

    @BeforeMethod
    public void makeCache() throws IOException {
        work = Files.createTempDirectory("djl-lora-loader");
        cache = Files.createDirectory(work.resolve("cache"));
        // libtorch's 400 MB are not extracted again for each test
        Path engine = Files.createDirectories(Utils.getEngineCacheDir("pytorch").toAbsolutePath());
        Files.createSymbolicLink(cache.resolve("pytorch"), engine);
    }

    @AfterMethod(alwaysRun = true)
    public void deleteCache() throws IOException {
        if (work != null) {
            Files.deleteIfExists(cache.resolve("pytorch"));
            Utils.deleteQuietly(work);
        }
    }

    @Test
    public void extractsAndLoads() throws Exception {
        probe(jar, Map.of()).assertLoaded();
        Path library = onlyLibrary();
        Assert.assertEquals(hash(Files.readAllBytes(library)), bundledHash(jar));
        Assert.assertTrue(library.getParent().getFileName().toString().startsWith(version + '-'));

        FileTime before = Files.getLastModifiedTime(library);
        probe(jar, Map.of()).assertLoaded();
        Assert.assertEquals(Files.getLastModifiedTime(onlyLibrary()), before, "not written again");
    }

    @Test
    public void repairsADamagedCopy() throws Exception {
        probe(jar, Map.of()).assertLoaded();
        Path library = onlyLibrary();
        Files.write(library, Arrays.copyOf(Files.readAllBytes(library), 5000));
        Outcome outcome = probe(jar, Map.of());
        outcome.assertLoaded();
        Assert.assertTrue(
                outcome.output().contains("is damaged and is replaced"), outcome.output());
        Assert.assertEquals(hash(Files.readAllBytes(onlyLibrary())), bundledHash(jar));
    }

    @Test
    public void keepsEachContentInAFolderOfItsOwn() throws Exception {
        probe(jar, Map.of()).assertLoaded();
        byte[] changed = read(jar, LIBRARY);
        changed = Arrays.copyOf(changed, changed.length + 1); // what follows an ELF file is ignored
        Path other =
                repack(Map.of(LIBRARY, changed, PROPERTIES, properties(version, hash(changed))));
        probe(other, Map.of()).assertLoaded();
        Assert.assertEquals(libraries().size(), 2);
        probe(jar, Map.of()).assertLoaded();
        Assert.assertEquals(libraries().size(), 2);
    }

    @Test
    public void letsManyJvmsStartAtOnce() throws Exception {
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < 3; ++i) {
            processes.add(start(jar, Map.of(), work.resolve("out" + i)));
        }
        for (int i = 0; i < 3; ++i) {
            finish(processes.get(i), work.resolve("out" + i)).assertLoaded();
        }
        Assert.assertEquals(hash(Files.readAllBytes(onlyLibrary())), bundledHash(jar));
    }

    @Test
    public void canBeSwitchedOff() throws Exception {
        probe(jar, Map.of("-Dai.djl.lora.native", "off")).assertFailed("is switched off");
        probe(jar, Map.of("DJL_LORA_NATIVE", "OFF")).assertFailed("is switched off");
        Assert.assertEquals(libraries(), List.of());
    }

    @Test
    public void takesTheFileThatItIsGiven() throws Exception {
        Path library = Files.write(work.resolve("given.so"), read(jar, LIBRARY));
        probe(jar, Map.of("-Dai.djl.lora.library", library.toString())).assertLoaded();
        probe(jar, Map.of("DJL_LORA_LIBRARY", library.toString())).assertLoaded();
        Assert.assertEquals(libraries(), List.of());

        Path missing = work.resolve("missing.so");
        probe(jar, Map.of("-Dai.djl.lora.library", missing.toString()))
                .assertFailed("is not at " + missing, "ai.djl.lora.library");
        Path text = Files.writeString(work.resolve("text.so"), "not a library");
        probe(jar, Map.of("-Dai.djl.lora.library", text.toString()))
                .assertFailed(text + " cannot be loaded", "it needs libtorch 2.7");
    }

    @Test
    public void refusesAnotherVersion() throws Exception {
        Path other = repack(Map.of(PROPERTIES, properties("99.0.0", bundledHash(jar))));
        probe(other, Map.of())
                .assertFailed("is version " + version, "but the jar is version 99.0.0");
    }

    @Test
    public void refusesADamagedJar() throws Exception {
        byte[] damaged = read(jar, LIBRARY);
        damaged[damaged.length / 2] ^= 1;
        probe(repack(Map.of(LIBRARY, damaged)), Map.of()).assertFailed("the jar is damaged");
        Assert.assertEquals(libraries(), List.of());
        probe(repack(Map.of(PROPERTIES, properties(version, null))), Map.of())
                .assertFailed("is not in the jar for linux-x86_64", "the jar has none");
    }

    @Test
    public void saysWhenItCannotWrite() throws Exception {
        Files.createFile(cache.resolve("djl_lora"));
        probe(jar, Map.of()).assertFailed("cannot be copied to", "ENGINE_CACHE_DIR");
    }

    @Test
    public void saysWhenTheEngineIsMissing() throws Exception {
        Map<String, String> settings = new HashMap<>();
        settings.put("without", "pytorch-engine");
        probe(jar, settings).assertFailed("needs DJL's PyTorch engine");
    }

    /** The native tests again, on the packaged jar, and with all that -Xcheck:jni has to say. */
    @Test
    public void isCleanUnderTheJvmsChecks() throws Exception {
        Path log = work.resolve("log");
        Process process = start(jar, Map.of("arguments", "tests"), log);
        Assert.assertTrue(process.waitFor(5, TimeUnit.MINUTES), "the tests hang");
        String output = Files.readString(log);
        Assert.assertEquals(process.exitValue(), 0, output);
        Assert.assertTrue(output.contains("tests: status 0"), output);
        Assert.assertFalse(output.contains("FATAL ERROR in native method"), output);
        // a warning is followed by the stack, whose first frame is the native method
        String ours = "at ai.djl.lora.jni.LoraNative.";
        String[] lines = output.split("\n");
        for (int i = 0; i + 1 < lines.length; ++i) {
            if (lines[i].startsWith("WARNING in native method")) {
                Assert.assertFalse(lines[i + 1].trim().startsWith(ours), lines[i] + lines[i + 1]);
            }
        }
    }

    private Outcome probe(Path probed, Map<String, String> settings) throws Exception {
        Path log = Files.createTempFile(work, "probe", ".log");
        return finish(start(probed, settings, log), log);
    }

    /** Settings: {@code -Dname} is a system property; anything else an environment variable. */
    private Process start(Path probed, Map<String, String> settings, Path log) throws IOException {
        Map<String, String> rest = new HashMap<>(settings);
        String without = rest.remove("without");
        String arguments = rest.remove("arguments");
        List<String> command = new ArrayList<>();
        command.add(Paths.get(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-Xcheck:jni");
        command.add("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("DJL_OFFLINE", "true");
        builder.environment().put("OPT_OUT_TRACKING", "true");
        builder.environment().put("ENGINE_CACHE_DIR", cache.toString());
        builder.environment().remove("DJL_LORA_LIBRARY");
        builder.environment().remove("DJL_LORA_NATIVE");
        rest.forEach(
                (name, value) -> {
                    if (name.startsWith("-D")) {
                        command.add(name + '=' + value);
                    } else {
                        builder.environment().put(name, value);
                    }
                });
        command.add("-cp");
        command.add(classPath(probed, without));
        command.add(LibraryProbe.class.getName());
        if (arguments != null) {
            command.add(arguments);
        }
        return builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    }

    private static Outcome finish(Process process, Path log) throws Exception {
        boolean ended = process.waitFor(2, TimeUnit.MINUTES);
        String output = Files.readString(log);
        if (!ended) {
            process.destroyForcibly();
        }
        Assert.assertTrue(ended && process.exitValue() == 0, output);
        return new Outcome(
                output,
                line(output, "first: "),
                line(output, "second: "),
                line(output, "reason: "));
    }

    private static String line(String output, String prefix) {
        return output.lines()
                .filter(line -> line.startsWith(prefix))
                .map(line -> line.substring(prefix.length()))
                .findFirst()
                .orElseThrow(() -> new AssertionError(output));
    }

    /** This JVM's class path, with the probed jar in place of the module's own classes. */
    private String classPath(Path probed, String without) {
        String own =
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"));
        Path classes = jar.resolveSibling("classes");
        String others =
                Stream.of(own.split(File.pathSeparator))
                        .filter(entry -> !Paths.get(entry).equals(classes))
                        .filter(entry -> !Paths.get(entry).equals(jar))
                        .filter(entry -> without == null || !entry.contains(without))
                        .collect(Collectors.joining(File.pathSeparator));
        return probed + File.pathSeparator + others;
    }

    private List<Path> libraries() throws IOException {
        Path folder = cache.resolve("djl_lora");
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).collect(Collectors.toList());
        }
    }

    private Path onlyLibrary() throws IOException {
        List<Path> all = libraries();
        Assert.assertEquals(all.size(), 1, all.toString());
        Assert.assertEquals(all.get(0).getFileName().toString(), "libdjl_lora.so");
        return all.get(0);
    }

    private Path repack(Map<String, byte[]> replacements) throws IOException {
        Path result = Files.createTempFile(work, "repacked", ".jar");
        try (JarFile source = new JarFile(jar.toFile());
                OutputStream file = Files.newOutputStream(result);
                JarOutputStream target = new JarOutputStream(file)) {
            for (JarEntry entry : source.stream().collect(Collectors.toList())) {
                target.putNextEntry(new JarEntry(entry.getName()));
                byte[] replacement = replacements.get(entry.getName());
                try (InputStream in = source.getInputStream(entry)) {
                    target.write(replacement == null ? in.readAllBytes() : replacement);
                }
                target.closeEntry();
            }
        }
        return result;
    }

    private static byte[] properties(String version, String hash) {
        String text = "version=" + version + '\n';
        if (hash != null) {
            text += "sha256.linux-x86_64=" + hash + '\n';
        }
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String bundledHash(Path jar) throws Exception {
        return hash(read(jar, LIBRARY));
    }

    private static byte[] read(Path jar, String name) throws IOException {
        try (JarFile file = new JarFile(jar.toFile());
                InputStream in = file.getInputStream(file.getJarEntry(name))) {
            return in.readAllBytes();
        }
    }

    private static String hash(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }
}
