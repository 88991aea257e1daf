/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The operator of every backend against a naive one in float64. */
public class OperatorTest {

    @DataProvider
    public Object[][] backends() {
        return Backends.withTypes();
    }

    /** With three types on two backends 2,400 cases; 1,200 where there is only one type. */
    int cases() {
        return 400;
    }

    /** Returns a manager on the backends' device. */
    NDManager newManager() {
        return NDManager.newBaseManager("PyTorch");
    }

    /**
     * Random cases of every variant: segments of one adapter, of none and of several with weights,
     * scales of outputs, biases of the layer and of adapters, 8-bit weights, ragged tails, groups.
     */
    @Test(dataProvider = "backends")
    public void matchesOracle(LoraBackend backend, ElementType type) {
        Random random = new Random(17);
        for (int round = 0; round < cases(); ++round) {
            OperatorCase operatorCase = new OperatorCase(random, type);
            try (NDManager manager = newManager()) {
                operatorCase.check(manager, backend, "case " + round);
            }
        }
    }

    @Test(dataProvider = "backends")
    public void removedSlotIsRefused(LoraBackend backend, ElementType type) {
        try (NDManager manager = newManager();
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type, 0)) {
            PackedAdapter adapter = small(type);
            int first = table.put(adapter);
            int second = table.put(adapter);
            int[] ranks = {adapter.entries()[0].rank()};
            List<LoraModule> modules = List.of(new LoraModule(0, "m", 2, 2));
            Assert.assertEquals(
                    table.residentBytes(), 2 * backend.adapterBytes(modules, ranks, type));
            table.remove(first);
            Assert.assertThrows(LoraBackendException.class, () -> table.remove(first));
            NDArray x =
                    backend.getTensorOps(type)
                            .zeros(manager, new ai.djl.ndarray.types.Shape(1, 2), type);
            NDArray base =
                    backend.getTensorOps(type)
                            .zeros(manager, new ai.djl.ndarray.types.Shape(1, 2), type);
            Assert.assertThrows(
                    RuntimeException.class,
                    () -> table.apply(0, x, base, null, BatchPlan.uniform(first, 1)));
            table.apply(0, x, base, null, BatchPlan.uniform(second, 1));
            Assert.assertEquals(table.put(adapter), first);
        }
    }

    @Test(dataProvider = "backends")
    public void wrongShapesAreNamed(LoraBackend backend, ElementType type) {
        try (NDManager manager = newManager();
                AdapterTable table =
                        backend.newTable(
                                manager, List.of(new LoraModule(0, "proj", 4, 2)), type, 0)) {
            TensorOps ops = backend.getTensorOps(type);
            NDArray x = ops.zeros(manager, new ai.djl.ndarray.types.Shape(3, 5), type);
            NDArray base = ops.zeros(manager, new ai.djl.ndarray.types.Shape(3, 2), type);
            IllegalArgumentException e =
                    Assert.expectThrows(
                            IllegalArgumentException.class,
                            () -> table.apply(0, x, base, null, BatchPlan.uniform(-1, 3)));
            Assert.assertTrue(e.getMessage().contains("proj [2, 4]"), e.getMessage());
            Assert.assertTrue(e.getMessage().contains("(3, 5)"), e.getMessage());
        }
    }

    @Test(dataProvider = "backends")
    public void adapterOutsideItsBlockIsRefused(LoraBackend backend, ElementType type) {
        try (NDManager manager = newManager();
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type, 0)) {
            PackedAdapter.Entry[] entries = {new PackedAdapter.Entry(1, 1f, 0, 3)};
            PackedAdapter adapter = new PackedAdapter(type, new byte[4 * type.bytes()], entries);
            Assert.assertThrows(LoraCompatibilityException.class, () -> table.put(adapter));
            PackedAdapter none = new PackedAdapter(type, new byte[0], new PackedAdapter.Entry[2]);
            Assert.assertThrows(LoraCompatibilityException.class, () -> table.put(none));
        }
    }

    @Test(dataProvider = "backends")
    public void nanStaysNan(LoraBackend backend, ElementType type) {
        try (NDManager manager = newManager();
                AdapterTable table =
                        backend.newTable(manager, List.of(new LoraModule(0, "m", 2, 2)), type, 0)) {
            int slot = table.put(small(type));
            TensorOps ops = backend.getTensorOps(type);
            NDArray x = Backends.array(manager, ops, type, new float[] {Float.NaN, 1, 1, 1}, 2, 2);
            NDArray base = Backends.array(manager, ops, type, new float[4], 2, 2);
            float[] y =
                    Backends.values(ops, table.apply(0, x, base, null, BatchPlan.uniform(slot, 2)));
            Assert.assertTrue(Float.isNaN(y[0]) && Float.isNaN(y[1]));
            Assert.assertFalse(Float.isNaN(y[2]) || Float.isNaN(y[3]));
        }
    }

    private static PackedAdapter small(ElementType type) {
        OperatorCase.Part part = OperatorCase.Part.plain(new Random(3), 3, 2, 2);
        return OperatorCase.pack(List.of(part), 0, type);
    }
}
