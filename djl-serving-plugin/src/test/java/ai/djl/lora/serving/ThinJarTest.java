/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Neither the plugin nor the functions use what their class loaders do not see: the plugin's sees
 * the server alone, so that nothing of the project but its own packages may be in it.
 */
public class ThinJarTest {

    /* A class file has the names of the types that it uses as plain text. */
    private static final Pattern USED = Pattern.compile("ai/djl/lora/[A-Za-z0-9_/]+");

    private static final String SHARED = "ai/djl/lora/serving/Lora";

    @Test
    public void testNothingOfTheProjectIsUsed() throws Exception {
        Path root =
                Path.of(
                        LoraAdapter.class
                                .getProtectionDomain()
                                .getCodeSource()
                                .getLocation()
                                .toURI());
        Set<String> packages = new TreeSet<>();
        List<String> others = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.filter(each -> each.toString().endsWith(".class")).toList()) {
                String own = root.relativize(file.getParent()).toString();
                packages.add(own);
                String text = Files.readString(file, StandardCharsets.ISO_8859_1);
                Matcher used = USED.matcher(text);
                while (used.find()) {
                    String name = used.group();
                    if (!name.startsWith(own + "/") && !name.startsWith(SHARED)) {
                        others.add(file.getFileName() + " uses " + name);
                    }
                }
            }
        }
        Assert.assertEquals(
                packages,
                Set.of(
                        "ai/djl/lora/serving",
                        "ai/djl/lora/serving/plugin",
                        "ai/djl/lora/serving/workflow"));
        Assert.assertEquals(others, List.of());
    }
}
