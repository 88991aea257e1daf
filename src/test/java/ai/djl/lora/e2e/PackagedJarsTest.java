/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarFile;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What would be published. */
public class PackagedJarsTest {

    private static final String VERSION = System.getProperty("djl.lora.version");

    @BeforeClass
    public void requirePackaged() {
        Repository.requirePackaged();
    }

    @DataProvider
    public Object[][] modules() {
        return new Object[][] {
            {"native-op", "ai/djl/lora/jni/LoraNative"},
            {"djl-lora-op", "ai/djl/lora/op/LoraBackends"},
            {"model-zoo", "ai/djl/lora/zoo/LoraModelZoo"},
            {"generation", "ai/djl/lora/generate/engine/GenerationEngine"},
            {"translators", "ai/djl/lora/translate/TextRequest"},
            {"cli", "ai/djl/lora/cli/DjlLora"},
            {"examples", "ai/djl/lora/examples/MixedBatch"},
        };
    }

    @Test(dataProvider = "modules")
    public void testClassesAndSources(String module, String type) throws IOException {
        try (JarFile jar = open(module, "")) {
            Assert.assertNotNull(jar.getEntry(type + ".class"), jar.getName());
            Assert.assertEquals(
                    jar.getManifest().getMainAttributes().getValue("Implementation-Version"),
                    VERSION);
        }
        try (JarFile jar = open(module, "-sources")) {
            Assert.assertNotNull(jar.getEntry(type + ".java"), jar.getName());
        }
    }

    @Test(dataProvider = "modules")
    public void testJavadoc(String module, String type) throws IOException {
        if (Boolean.getBoolean("djl.lora.lintSkipped")) {
            throw new SkipException("Javadoc is not packaged with lint.skip");
        }
        try (JarFile jar = open(module, "-javadoc")) {
            Assert.assertNotNull(jar.getEntry(type + ".html"), jar.getName());
        }
    }

    @Test
    public void testDemoModelIsPackaged() throws IOException {
        try (JarFile jar = open("model-zoo", "")) {
            for (String file : new String[] {"base/config.json", "prompts.jsonl"}) {
                Assert.assertNotNull(jar.getEntry("ai/djl/lora/zoo/demo/" + file), file);
            }
        }
    }

    @Test
    public void testLauncherFindsEveryJar() throws IOException {
        Path lib = Repository.ROOT.resolve("cli/target/lib");
        for (String name :
                new String[] {
                    "native-op-" + VERSION,
                    "djl-lora-op-" + VERSION,
                    "translators-" + VERSION,
                    "pytorch-native-cpu-2.7.1-linux-x86_64"
                }) {
            Assert.assertTrue(Files.exists(lib.resolve(name + ".jar")), name);
        }
    }

    private static JarFile open(String module, String classifier) throws IOException {
        Path file =
                Repository.ROOT.resolve(
                        module + "/target/" + module + "-" + VERSION + classifier + ".jar");
        Assert.assertTrue(Files.exists(file), file.toString());
        return new JarFile(file.toFile());
    }
}
