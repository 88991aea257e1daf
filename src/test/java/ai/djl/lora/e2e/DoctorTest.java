/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The doctor tells what there is, and goes on where something is missing. */
public class DoctorTest {

    private static final Set<String> PARTS =
            Set.of(
                    "djl-lora",
                    "java",
                    "system",
                    "cpu",
                    "cpu features",
                    "djl",
                    "libtorch",
                    "threads",
                    "gpu",
                    "native library",
                    "cuda kernels",
                    "cuda libtorch",
                    "backends",
                    "backend chosen");

    @Test
    public void testHere() {
        JsonObject parts = parse(Execution.inProcess("doctor", "--json"));
        Assert.assertEquals(parts.keySet(), PARTS);
        Assert.assertTrue(text(parts, "libtorch").startsWith("2.7.1, "), parts.toString());
        Assert.assertTrue(text(parts, "java").startsWith(System.getProperty("java.version")));
        boolean library = LoraLibrary.isAvailable();
        Assert.assertEquals(
                text(parts, "native library").startsWith("not available: "), !library, "" + parts);
        Assert.assertTrue(
                text(parts, "backend chosen")
                        .startsWith(library ? "cpu, " : "pytorch, since cpu "));
        String table = Execution.inProcess("doctor").assertExitCode(0).out();
        for (String part : PARTS) {
            Assert.assertTrue(table.contains("\n" + part + " ") || table.startsWith(part), table);
        }
        Assert.assertEquals(table.lines().count(), PARTS.size(), table);
    }

    @Test
    public void testWithoutNativeLibrary() throws Exception {
        JsonObject parts =
                parse(
                        Execution.java(
                                DjlLora.class,
                                List.of(),
                                Map.of("DJL_LORA_NATIVE", "off"),
                                "doctor",
                                "--json"));
        Assert.assertTrue(text(parts, "native library").contains("DJL_LORA_NATIVE"), "" + parts);
        Assert.assertTrue(text(parts, "backend chosen").startsWith("pytorch, since cpu "));
    }

    /** No libtorch on the class path, and none in the cache. */
    @Test
    public void testWithoutLibtorch() throws Exception {
        Path cache = Files.createTempDirectory("empty-cache");
        String classPath = System.getProperty("java.class.path");
        String without =
                Arrays.stream(classPath.split(File.pathSeparator))
                        .filter(entry -> !entry.contains("pytorch-native"))
                        .collect(Collectors.joining(File.pathSeparator));
        Assert.assertNotEquals(without, classPath);
        Execution run =
                Execution.java(
                        without,
                        DjlLora.class,
                        List.of(),
                        Map.of("DJL_CACHE_DIR", cache.toString()),
                        "doctor",
                        "--json");
        try (Stream<Path> files = Files.walk(cache)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
        JsonObject parts = parse(run);
        Assert.assertEquals(parts.keySet(), PARTS);
        Assert.assertTrue(text(parts, "libtorch").startsWith("not available: "), run.out());
        Assert.assertTrue(text(parts, "native library").startsWith("not available: "), run.out());
        Assert.assertTrue(text(parts, "djl").startsWith("0.35.1"), run.out());
    }

    private static JsonObject parse(Execution run) {
        run.assertExitCode(0);
        return JsonParser.parseString(run.out()).getAsJsonObject();
    }

    private static String text(JsonObject parts, String part) {
        return parts.get(part).getAsString();
    }
}
