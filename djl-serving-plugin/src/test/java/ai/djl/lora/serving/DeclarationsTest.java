/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import ai.djl.serving.plugins.RequestHandler;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Compares the declarations that the plugin is compiled against with DJL Serving 0.36.0.
 *
 * <p>The list in {@code djl-serving-0.36.0.txt} was printed by {@link Signatures} on the class path
 * of that server.
 */
public class DeclarationsTest {

    private static final int DECLARED = 20;

    @Test
    public void testDeclarationsAreThoseOfTheServer() throws Exception {
        Set<String> real = real();
        List<Class<?>> declared = declared();
        Assert.assertTrue(declared.size() >= DECLARED, declared.toString());
        List<String> invented = new ArrayList<>();
        for (Class<?> type : declared) {
            Signatures.of(type).stream()
                    .filter(line -> !real.contains(line))
                    .forEach(invented::add);
        }
        Assert.assertEquals(invented, List.of());
    }

    @Test
    public void testAChangedDeclarationIsFound() throws Exception {
        Set<String> real = real();
        for (String line : Signatures.of(RequestHandler.class)) {
            Assert.assertTrue(real.contains(line), line);
            Assert.assertFalse(real.contains(line.replace("boolean", "int") + " "), line);
        }
    }

    private static Set<String> real() throws Exception {
        try (InputStream in =
                DeclarationsTest.class.getResourceAsStream("/djl-serving-0.36.0.txt")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .collect(Collectors.toSet());
        }
    }

    private static List<Class<?>> declared() throws Exception {
        URI place =
                RequestHandler.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        Path root = Path.of(place);
        if (Files.isDirectory(root)) {
            return declared(root);
        }
        try (FileSystem jar = FileSystems.newFileSystem(root)) {
            return declared(jar.getPath("/"));
        }
    }

    private static List<Class<?>> declared(Path root) throws Exception {
        List<Class<?>> classes = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.sorted().toList()) {
                String name = root.relativize(file).toString().replace('/', '.');
                if (name.endsWith(".class") && !name.endsWith("package-info.class")) {
                    classes.add(Class.forName(name.substring(0, name.length() - 6)));
                }
            }
        }
        return classes;
    }
}
