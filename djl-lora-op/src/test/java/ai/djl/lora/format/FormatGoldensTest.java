/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.TensorInfo;
import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Compares the forms that other programs store one adapter in with that adapter, byte for byte. */
public class FormatGoldensTest {

    private static final Path VARIANTS = Path.of("../src/test/resources/goldens/variants");
    private static final Path FORMATS = VARIANTS.resolve("formats");
    private static final String PREFIX = "base_model.model.";

    @DataProvider
    public Object[][] forms() {
        String down = "matrices are called lora_down and lora_up";
        String bare = "names lack the prefix base_model.model.";
        return new Object[][] {
            {"sharded", List.of()},
            {"torchtune", List.of()},
            {"unsloth", List.of()},
            {"axolotl-2023", List.of()},
            {"bin-zip", List.of()},
            {"bin-legacy", List.of()},
            {"bare-names", List.of(bare)},
            {"adapter-names", List.of("names carry the adapter name \"default\"")},
            {"down-up", List.of(bare, down, "alphas are tensors of the file")},
        };
    }

    @Test(dataProvider = "forms")
    public void formHoldsTheAdapter(String form, List<String> notes) {
        try (AdapterFiles files = AdapterFiles.open(FORMATS.resolve(form), FormatLimits.DEFAULTS)) {
            assertSame(files, "llama/adapters/lora");
            assertEquals(files.notes(), notes);
            JsonObject config = files.config();
            assertEquals(config.get("r").getAsInt(), 4);
            assertEquals(config.get("lora_alpha").getAsDouble(), 8.0);
        }
    }

    @Test
    public void singleFileWithDottedNamesNeedsNoConfiguration() {
        Path file = FORMATS.resolve("down-up/adapter_model.safetensors");
        AdapterFilesTest.assertMessage(
                file,
                FormatLimits.DEFAULTS,
                "expected the adapter's folder, found one of its files");
    }

    @Test
    public void kohyasUnderscoresAreRefused() {
        AdapterFilesTest.assertMessage(
                FORMATS.resolve("kohya.safetensors"),
                FormatLimits.DEFAULTS,
                "tensor \"lora_te_model_layers_0_mlp_down_proj.lora_down.weight\" names its module"
                        + " with underscores in place of dots");
    }

    @DataProvider
    public Object[][] programs() {
        return new Object[][] {{"malicious-zip"}, {"malicious-legacy"}};
    }

    @Test(dataProvider = "programs")
    public void picklesThatRunCommandsAreRefused(String form) {
        AdapterFilesTest.assertMessage(
                FORMATS.resolve(form),
                FormatLimits.DEFAULTS,
                "adapter_model.bin: the pickle asks for \"posix.system\", which is not run");
    }

    /** Asserts that the tensors are those that PEFT saved, in names, types, shapes and bytes. */
    static void assertSame(AdapterFiles files, String adapter) {
        Path saved = VARIANTS.resolve(adapter).resolve("adapter_model.safetensors");
        try (SafetensorsFile expected = SafetensorsFile.open(saved)) {
            Set<String> names = new HashSet<>();
            for (TensorInfo tensor : expected.tensors().values()) {
                assertTrue(tensor.name().startsWith(PREFIX));
                String name = tensor.name().substring(PREFIX.length());
                names.add(name);
                TensorInfo found = files.tensors().get(name);
                assertEquals(found.name(), name);
                assertEquals(found.type(), tensor.type(), name);
                assertEquals(found.shape(), tensor.shape(), name);
                assertEquals(found.size(), tensor.size(), name);
                byte[] data = expected.read(tensor);
                assertEquals(files.read(name), data, name);
                ByteArrayOutputStream streamed = new ByteArrayOutputStream();
                files.stream(
                        name,
                        chunk -> {
                            byte[] part = new byte[chunk.remaining()];
                            chunk.get(part);
                            streamed.writeBytes(part);
                        });
                assertEquals(streamed.toByteArray(), data, name);
            }
            assertEquals(files.tensors().keySet(), names);
        }
    }
}
