/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertNotEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The same content has the same name, whatever it is stored as. */
public class RevisionTest {

    private static final Path FORMATS = GoldenModels.VARIANTS.resolve("formats");

    private static String revision(String model, Path source) throws IOException {
        ModelLayout layout = GoldenModels.layout(GoldenModels.VARIANTS.resolve(model + "/base"));
        return AdapterLoader.load(source, layout).revision();
    }

    private static String folder(String model, String name) throws IOException {
        return revision(model, GoldenModels.VARIANTS.resolve(model + "/adapters/" + name));
    }

    @DataProvider
    public Object[][] lossless() {
        return Stream.of(
                        "sharded",
                        "bare-names",
                        "adapter-names",
                        "down-up",
                        "bin-zip",
                        "bin-legacy",
                        "torchtune",
                        "unsloth",
                        "axolotl-2023",
                        "adapter.zip",
                        "adapter.tar.gz",
                        "gguf/llama-lora-f32.gguf")
                .map(name -> new Object[] {name})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "lossless")
    public void isTheSameInEveryLosslessFormat(String name) throws IOException {
        assertEquals(revision("llama", FORMATS.resolve(name)), folder("llama", "lora"));
    }

    @Test
    public void isTheSameForOtherModelsOfGguf() throws IOException {
        assertEquals(
                revision("qwen2", FORMATS.resolve("gguf/qwen2-lora-f32.gguf")),
                folder("qwen2", "lora"));
        assertEquals(
                revision("llama", FORMATS.resolve("gguf/llama-alora-f32.gguf")),
                folder("llama", "alora"));
    }

    @Test
    public void isAnotherWhereNumbersAreRounded() throws IOException {
        for (String type : new String[] {"f16", "bf16", "q8_0"}) {
            Path file = FORMATS.resolve("gguf/llama-lora-" + type + ".gguf");
            assertNotEquals(revision("llama", file), folder("llama", "lora"));
        }
    }

    @Test
    public void differsBetweenAdapters() throws IOException {
        ModelLayout layout = GoldenModels.layout(GoldenModels.VARIANTS.resolve("llama/base"));
        try (Stream<Path> folders = Files.list(GoldenModels.VARIANTS.resolve("llama/adapters"))) {
            List<String> revisions =
                    folders.map(each -> AdapterLoader.validate(each, layout, LoadingPolicy.STRICT))
                            .flatMap(report -> report.revision().stream())
                            .toList();
            assertTrue(revisions.size() > 40, revisions.size() + " adapters");
            assertEquals(Set.copyOf(revisions).size(), revisions.size());
        }
    }
}
