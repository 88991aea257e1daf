/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.Compatibility;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Loads every LoRA adapter of this repository, all saved by PEFT, beside its own model. */
public class RealAdaptersTest {

    @DataProvider
    public Object[][] adapters() throws IOException {
        return RealAdapters.list().stream()
                .map(found -> new Object[] {found})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "adapters")
    public void loads(RealAdapters.Found found) {
        Path directory = found.directory();
        List<LoraModule> modules = RealAdapters.modules(found.model());
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
            PackedAdapter packed = found.pack(ElementType.FLOAT32);
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

    @Test
    public void thereAreAdapters() throws IOException {
        assertTrue(adapters().length >= 3, "the goldens hold at least three adapters");
    }
}
