/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.GoldenModels;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.convert.AdapterConverter.Form;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatHints;
import ai.djl.lora.format.FormatLimits;
import ai.djl.lora.format.PackedFile;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.testng.Assert.ThrowingRunnable;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Adapters come back bit for bit from a packed file, and what is there is not overwritten. */
public class AdapterConverterTest {

    private static final Path VARIANTS = GoldenModels.VARIANTS;
    private static final Path LORA = VARIANTS.resolve("llama/adapters/lora");
    private static final String WEIGHTS = "adapter_model.safetensors";
    private static final String CONFIG = "adapter_config.json";

    private TempDirectory directory;
    private Path packed;
    private Path folder;

    @BeforeMethod
    public void makeDirectory() throws IOException {
        directory = new TempDirectory();
        packed = directory.path().resolve("adapter.djlora");
        folder = directory.path().resolve("folder");
    }

    @AfterMethod(alwaysRun = true)
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private static AdapterConverter converter(Path source) {
        return new AdapterConverter(source, Optional.empty(), Optional.empty());
    }

    @DataProvider
    public Object[][] adapters() throws IOException {
        List<Object[]> found = new ArrayList<>();
        for (String model : List.of("llama", "qwen2")) {
            ModelLayout layout = GoldenModels.layout(VARIANTS.resolve(model).resolve("base"));
            try (Stream<Path> folders = Files.list(VARIANTS.resolve(model).resolve("adapters"))) {
                for (Path each : folders.sorted().toList()) {
                    LoadReport report = AdapterLoader.validate(each, layout, LoadingPolicy.STRICT);
                    if (report.isAccepted()) {
                        found.add(new Object[] {each, report.revision().orElseThrow()});
                    }
                }
            }
        }
        assertTrue(found.size() >= 90, found.size() + " adapters");
        return found.toArray(Object[][]::new);
    }

    @Test(dataProvider = "adapters")
    public void comesBackBitForBit(Path source, String revision) throws IOException {
        LoadReport report = converter(source).convert(packed, Form.PACKED, false);
        // without a model the layers are as the tensors say, and the revision is the same
        assertEquals(report.revision().orElseThrow(), revision);
        try (PackedFile file = PackedFile.open(packed, FormatLimits.DEFAULTS);
                AdapterFiles files = AdapterFiles.open(source, FormatLimits.DEFAULTS)) {
            file.verify();
            assertEquals(file.revision(), revision);
            byte[] block = file.readBlock();
            for (TensorInfo tensor : file.tensors().values()) {
                int start = (int) file.offsetInBlock(tensor);
                assertEquals(
                        Arrays.copyOfRange(block, start, start + (int) tensor.size()),
                        files.read(tensor.name()),
                        tensor.name());
            }
        }
        converter(packed).convert(folder, Form.PEFT, false);
        assertEquals(
                JsonParser.parseString(Files.readString(folder.resolve(CONFIG))),
                JsonParser.parseString(Files.readString(source.resolve(CONFIG))));
        // the names, their order and the header are PEFT's own, so that the whole file is
        assertEquals(Files.mismatch(folder.resolve(WEIGHTS), source.resolve(WEIGHTS)), -1);
        try (Stream<Path> left = Files.list(directory.path())) {
            assertEquals(left.count(), 2);
        }
    }

    @DataProvider
    public Object[][] forms() {
        return new Object[][] {
            {"sharded"},
            {"bare-names"},
            {"adapter-names"},
            {"down-up"},
            {"bin-zip"},
            {"bin-legacy"},
            {"adapter.zip"},
            {"adapter.tar.gz"},
            {"gguf/llama-lora-f32.gguf"},
        };
    }

    @Test(dataProvider = "forms")
    public void everyFormBecomesPeftsOwn(String form) throws IOException {
        Path base = VARIANTS.resolve("llama/base");
        new AdapterConverter(
                        VARIANTS.resolve("formats").resolve(form),
                        Optional.of(GoldenModels.layout(base)),
                        Optional.of(new FormatHints(4, 2)))
                .convert(folder, Form.PEFT, false);
        assertEquals(Files.mismatch(folder.resolve(WEIGHTS), LORA.resolve(WEIGHTS)), -1);
        LoadReport report =
                AdapterLoader.validate(folder, GoldenModels.layout(base), LoadingPolicy.STRICT);
        assertTrue(report.isAccepted(), report.toString());
        assertEquals(
                report.revision(),
                AdapterLoader.validate(LORA, GoldenModels.layout(base), LoadingPolicy.STRICT)
                        .revision());
    }

    @Test
    public void tensorsOfMixedTypesAreAligned() throws IOException {
        try (AdapterDirectory adapter = new AdapterDirectory()) {
            String name = AdapterDirectory.PREFIX + AdapterDirectory.Q + ".lora_A.weight";
            adapter.put(name, ElementType.BFLOAT16, 3, 6);
            adapter.write();
            Path source = adapter.path();
            converter(source).convert(packed, Form.PACKED, false);
            converter(packed).convert(folder, Form.PEFT, false);
            try (AdapterFiles one = AdapterFiles.open(source, FormatLimits.DEFAULTS);
                    AdapterFiles other = AdapterFiles.open(folder, FormatLimits.DEFAULTS)) {
                assertEquals(other.tensors().keySet(), one.tensors().keySet());
                one.tensors()
                        .forEach((key, tensor) -> assertEquals(other.read(key), one.read(key)));
                other.tensors()
                        .values()
                        .forEach(
                                tensor -> assertEquals(tensor.offset() % tensor.type().bytes(), 0));
            }
        }
    }

    @Test
    public void aStatedRevisionThatIsNotTheContentsIsRefused() throws IOException {
        Path rslora = VARIANTS.resolve("llama/adapters/rslora");
        try (AdapterFiles files = AdapterFiles.open(rslora, FormatLimits.DEFAULTS)) {
            LoadReport other =
                    AdapterLoader.validate(
                            LORA,
                            GoldenModels.layout(VARIANTS.resolve("llama/base")),
                            LoadingPolicy.STRICT);
            Files.createFile(packed);
            PackedWriter.write(files, other, packed);
        }
        LoadReport report =
                AdapterLoader.validate(
                        packed,
                        GoldenModels.layout(VARIANTS.resolve("llama/base")),
                        LoadingPolicy.STRICT);
        assertFalse(report.isAccepted());
        assertTrue(report.toString().contains(", the file says "), report.toString());
    }

    @Test
    public void whatIsThereStays() throws IOException {
        Files.writeString(packed, "precious");
        refused(() -> converter(LORA).convert(packed, Form.PACKED, false), "is there already");
        assertEquals(Files.readString(packed), "precious");
        converter(LORA).convert(packed, Form.PACKED, true);
        assertTrue(Files.size(packed) > 15_616);

        Files.createDirectory(folder);
        refused(() -> converter(LORA).convert(folder, Form.PEFT, false), "is there already");
        // a folder that is no adapter is not deleted, whoever asks
        refused(() -> converter(LORA).convert(folder, Form.PEFT, true), "is there already");
        Files.delete(folder);
        converter(LORA).convert(folder, Form.PEFT, false);
        Files.writeString(folder.resolve("old.txt"), "of before");
        refused(() -> converter(LORA).convert(folder, Form.PEFT, false), "is there already");
        converter(packed).convert(folder, Form.PEFT, true);
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(files.count(), 2);
        }
        Files.createDirectory(folder.resolve("inner"));
        refused(() -> converter(LORA).convert(folder, Form.PEFT, true), "is there already");
        refused(
                () -> converter(LORA).convert(folder, Form.PACKED, true),
                "there is something that is no file");
    }

    @Test
    public void theSourceIsNotOverwritten() throws IOException {
        converter(LORA).convert(packed, Form.PACKED, false);
        refused(
                () -> converter(packed).convert(packed, Form.PACKED, true),
                "cannot be both read and written");
        converter(packed).convert(folder, Form.PEFT, false);
        refused(
                () -> converter(folder).convert(folder, Form.PEFT, true),
                "cannot be both read and written");
    }

    @Test
    public void aFailureLeavesNothing() throws IOException {
        refused(
                () ->
                        converter(LORA)
                                .convert(directory.path().resolve("no/folder"), Form.PEFT, false),
                "there is no folder");
        try (AdapterDirectory adapter = new AdapterDirectory()) {
            adapter.tensors.remove(AdapterDirectory.PREFIX + AdapterDirectory.Q + ".lora_B.weight");
            adapter.write();
            Path source = adapter.path();
            expectThrows(
                    LoraCompatibilityException.class,
                    () -> converter(source).convert(packed, Form.PACKED, false));
            expectThrows(
                    LoraCompatibilityException.class,
                    () -> converter(source).convert(folder, Form.PEFT, false));
        }
        try (Stream<Path> files = Files.list(directory.path())) {
            assertEquals(files.toList(), List.of());
        }
    }

    private static void refused(ThrowingRunnable conversion, String message) {
        LoraConfigurationException e = expectThrows(LoraConfigurationException.class, conversion);
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertEquals(e.getMessage().lines().count(), 1, e.getMessage());
    }
}
