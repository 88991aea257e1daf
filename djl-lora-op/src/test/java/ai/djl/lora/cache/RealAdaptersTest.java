/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.Compatibility;
import ai.djl.lora.adapter.GoldenModels;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.SafetensorsFolder;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Loads every LoRA adapter of this repository, all saved by PEFT, beside its own model. */
public class RealAdaptersTest {

    private static final List<Path> ROOTS =
            List.of(Path.of("../src/test/resources/goldens"), Path.of("../examples/demo"));

    @DataProvider
    public Object[][] adapters() throws IOException {
        List<Object[]> found = new ArrayList<>();
        for (Path root : ROOTS) {
            if (!Files.isDirectory(root)) {
                continue;
            }
            try (Stream<Path> files = Files.walk(root)) {
                files.filter(file -> file.endsWith(PeftConfig.FILE_NAME))
                        // other kinds of adapters have tests of their own
                        .filter(file -> !file.startsWith(GoldenModels.VARIANTS))
                        .sorted()
                        .forEach(
                                file ->
                                        found.add(
                                                new Object[] {
                                                    file.getParent(), modelOf(file, root)
                                                }));
            }
        }
        return found.toArray(Object[][]::new);
    }

    /** Returns the nearest directory "model" or "base" on the way up to the root. */
    private static Path modelOf(Path file, Path root) {
        for (Path at = file.getParent(); at.startsWith(root); at = at.getParent()) {
            for (String name : List.of("model", "base")) {
                if (Files.isDirectory(at.resolve(name))) {
                    return at.resolve(name);
                }
            }
        }
        throw new IllegalStateException("No model beside " + file);
    }

    @Test(dataProvider = "adapters")
    public void loads(Path directory, Path model) {
        List<LoraModule> modules = modules(model);
        ModelLayout layout = new ModelLayout(modules);
        LoraAdapter adapter = AdapterLoader.load(directory, layout);
        LoadReport report = adapter.report();
        assertTrue(report.isAccepted());
        assertEquals(report.compatibility(), Compatibility.FULL);
        assertEquals(report.issues(), List.of());
        assertEquals(report.score(), 1.0);
        LoadReport again = AdapterLoader.validate(directory, layout, LoadingPolicy.STRICT);
        assertEquals(again.revision(), Optional.of(adapter.revision()));
        assertEquals(again.modules(), report.modules());
        try (SafetensorsFile file =
                SafetensorsFile.open(directory.resolve("adapter_model.safetensors"))) {
            assertEquals(2 * adapter.changes().linears().size(), file.tensors().size());
            PackedAdapter packed =
                    new AdapterPacker(
                                    adapter, modules, ElementType.FLOAT32, new OutputVectors(null))
                            .pack();
            float[] all = floats(packed.type(), packed.data());
            for (LoraModule module : modules) {
                PackedAdapter.Entry entry = packed.entries()[module.index()];
                String name = "base_model.model." + module.name();
                assertEquals(
                        entry != null, file.tensors().containsKey(name + ".lora_A.weight"), name);
                if (entry != null) {
                    check(file, name + ".lora_A.weight", all, entry.offsetA());
                    check(file, name + ".lora_B.weight", all, entry.offsetB());
                }
            }
        }
    }

    private static void check(SafetensorsFile file, String name, float[] all, long offset) {
        TensorInfo info = file.tensor(name);
        float[] expected = floats(info.type().elementType().orElseThrow(), file.read(info));
        for (int i = 0; i < expected.length; i++) {
            assertEquals(all[(int) offset + i], expected[i], name);
        }
    }

    private static float[] floats(ElementType type, byte[] data) {
        return new HostTensor(type, new long[] {data.length / type.bytes()}, data).toFloats();
    }

    /** Returns the model's linear layers: the matrices of its decoder layers. */
    private static List<LoraModule> modules(Path model) {
        List<LoraModule> modules = new ArrayList<>();
        try (SafetensorsFolder folder = SafetensorsFolder.open(model)) {
            for (String name : folder.names()) {
                TensorInfo tensor = folder.tensor(name);
                if (tensor.name().contains(".layers.") && tensor.shape().length == 2) {
                    modules.add(
                            new LoraModule(
                                    modules.size(),
                                    tensor.name().replaceAll("\\.weight$", ""),
                                    (int) tensor.shape()[1],
                                    (int) tensor.shape()[0]));
                }
            }
        }
        return modules;
    }

    @Test
    public void thereAreAdapters() throws IOException {
        assertTrue(adapters().length >= 3, "the goldens hold at least three adapters");
    }
}
