/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import static ai.djl.lora.adapter.AdapterDirectory.MODULES;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static ai.djl.lora.adapter.AdapterDirectory.V;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertNull;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.adapter.AdapterDirectory;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class AdapterPackerTest {

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    @DataProvider
    public Object[][] typesAndTolerances() {
        // half a unit in the last place: 2^-11 of the value in float16, 2^-8 in bfloat16
        return new Object[][] {
            {ElementType.FLOAT32, 0f},
            {ElementType.FLOAT16, 0x1p-11f},
            {ElementType.BFLOAT16, 0x1p-8f},
        };
    }

    @Test(dataProvider = "typesAndTolerances")
    public void packsWhatItHolds(ElementType type, float tolerance) throws IOException {
        directory.with("rank_pattern", "{\"v_proj\": 2}");
        directory.put(PREFIX + V + ".lora_A.weight", ElementType.FLOAT32, 2, 6);
        directory.put(PREFIX + V + ".lora_B.weight", ElementType.FLOAT32, 2, 2);
        // the table's order is by index, whatever the list's is
        List<LoraModule> modules = new ArrayList<>(MODULES);
        modules.set(0, new LoraModule(2, "model.layers.0.mlp.up_proj", 6, 10));
        modules.set(2, new LoraModule(0, Q, 6, 4));

        PackedAdapter packed = pack(directory.load(), modules, type);

        assertSame(packed.type(), type);
        int elements = 3 * 6 + 4 * 3 + 2 * 6 + 2 * 2;
        assertEquals(packed.data().length, elements * type.bytes());
        assertEquals(packed.entries().length, 4);
        assertNull(packed.entries()[2]);
        assertNull(packed.entries()[3]);
        assertEquals(packed.entries()[0].rank(), 3);
        assertEquals(packed.entries()[0].scale(), 2f);
        assertEquals(packed.entries()[1].rank(), 2);
        assertEquals(packed.entries()[1].scale(), 3f);
        float[] all = new HostTensor(type, new long[] {elements}, packed.data()).toFloats();
        boolean[] covered = new boolean[elements];
        check(packed.entries()[0].offsetA(), Q + ".lora_A", all, covered, tolerance);
        check(packed.entries()[0].offsetB(), Q + ".lora_B", all, covered, tolerance);
        check(packed.entries()[1].offsetA(), V + ".lora_A", all, covered, tolerance);
        check(packed.entries()[1].offsetB(), V + ".lora_B", all, covered, tolerance);
        for (boolean each : covered) {
            assertTrue(each);
        }
    }

    private void check(long offset, String name, float[] all, boolean[] covered, float tolerance) {
        float[] expected = directory.tensors.get(PREFIX + name + ".weight").toFloats();
        for (int i = 0; i < expected.length; i++) {
            int at = (int) offset + i;
            assertEquals(all[at], expected[i], tolerance * Math.abs(expected[i]), name);
            assertTrue(!covered[at], "parts overlap at " + at);
            covered[at] = true;
        }
    }

    @Test
    public void packsHalfTypesWithoutChangingTheirBytes() throws IOException {
        for (ElementType type : ElementType.values()) {
            directory.tensors.replaceAll(
                    (name, tensor) ->
                            SafetensorsWriter.tensor(
                                    type, tensor.shape()[0], tensor.shape()[1], tensor.toFloats()));
            LoraAdapter adapter = directory.load();
            PackedAdapter packed = pack(adapter, MODULES, type);
            byte[] b = adapter.changes().linears().get(V).product().b().data();
            int offset = (int) packed.entries()[1].offsetB() * type.bytes();
            assertEquals(Arrays.copyOfRange(packed.data(), offset, offset + b.length), b);
        }
    }

    @Test
    public void refusesWeightsThatTheTypeCannotHold() throws IOException {
        float[] values = new float[12];
        values[7] = -70000;
        directory.tensors.put(
                PREFIX + Q + ".lora_B.weight",
                SafetensorsWriter.tensor(ElementType.FLOAT32, 4, 3, values));
        LoraAdapter adapter = directory.load();
        pack(adapter, MODULES, ElementType.BFLOAT16);
        assertEquals(
                expectThrows(
                                LoraCompatibilityException.class,
                                () -> pack(adapter, MODULES, ElementType.FLOAT16))
                        .getMessage(),
                directory.path()
                        + ": B of module \""
                        + Q
                        + "\" holds -70000.0, which float16 cannot hold");
    }

    @Test
    public void refusesOtherModules() throws IOException {
        LoraAdapter adapter = directory.load();
        assertEquals(
                expectThrows(
                                LoraCompatibilityException.class,
                                () -> pack(adapter, MODULES.subList(0, 1), ElementType.FLOAT32))
                        .getMessage(),
                directory.path()
                        + ": the adapter changes module \""
                        + V
                        + "\", which the model does not have");
        List<LoraModule> wider = new ArrayList<>(MODULES);
        wider.set(0, new LoraModule(0, Q, 8, 4));
        assertEquals(
                expectThrows(
                                LoraCompatibilityException.class,
                                () -> pack(adapter, wider, ElementType.FLOAT32))
                        .getMessage(),
                directory.path()
                        + ": the adapter was loaded for \""
                        + Q
                        + "\" of shape [4, 6], this model's is "
                        + Q
                        + " [4, 8]");
        List<LoraModule> misnumbered = new ArrayList<>(MODULES);
        misnumbered.set(0, new LoraModule(4, Q, 6, 4));
        expectThrows(
                IllegalArgumentException.class,
                () -> pack(adapter, misnumbered, ElementType.FLOAT32));
    }

    private static PackedAdapter pack(
            LoraAdapter adapter, List<LoraModule> modules, ElementType type) {
        return new AdapterPacker(adapter, modules, type, new OutputVectors(null)).pack();
    }
}
