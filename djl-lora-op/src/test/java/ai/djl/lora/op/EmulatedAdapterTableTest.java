/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cuda.EmulatedGpu;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Adapters that come and go in a table on an emulated GPU, while it is computed with or fails. */
public class EmulatedAdapterTableTest {

    private static final ElementType TYPE = ElementType.BFLOAT16;
    private static final List<LoraModule> MODULES = List.of(new LoraModule(0, "m", 32, 16));
    private static final int INVALID_VALUE = 1;

    private final CudaBackend backend = new CudaBackend("cuda", null);
    private EmulatedGpu gpu;
    private NDManager manager;

    @BeforeClass
    public void load() {
        gpu = EmulatedTorch.load();
    }

    @BeforeMethod
    public void open() {
        manager = NDManager.newBaseManager(Device.gpu(0), "PyTorch");
    }

    @AfterMethod(alwaysRun = true)
    public void close() {
        gpu.slowCopies(0);
        gpu.limitPinned(Long.MAX_VALUE);
        manager.close();
    }

    @Test
    public void adaptersComeAndGoBesideComputing() throws Exception {
        gpu.slowCopies(TimeUnit.MILLISECONDS.toNanos(2));
        ExecutorService other = Executors.newSingleThreadExecutor();
        for (long memory : new long[] {0, 1 << 16}) {
            try (AdapterTable table = backend.newTable(manager, MODULES, TYPE, memory)) {
                int slot = table.put(adapter(4));
                float[] expected = answer(table, slot, 3);
                AtomicBoolean ended = new AtomicBoolean();
                Future<?> moving =
                        other.submit(
                                () -> {
                                    // ranks that make the table grow, and memory that is used again
                                    for (int rank = 1; rank <= 40; ++rank) {
                                        int mine = table.put(adapter(rank));
                                        table.remove(mine);
                                    }
                                    ended.set(true);
                                });
                int answers = 0;
                while (!moving.isDone()) {
                    Assert.assertEquals(answer(table, slot, 3), expected);
                    ++answers;
                }
                moving.get();
                Assert.assertTrue(ended.get() && answers > 0);
                int last = table.put(adapter(4));
                Assert.assertEquals(answer(table, last, 300), answer(table, slot, 300));
            }
        }
        other.shutdown();
    }

    @Test
    public void aCopyThatFailsLeavesTheSlotFree() {
        try (AdapterTable table = backend.newTable(manager, MODULES, TYPE, 1 << 16)) {
            int slot = table.put(adapter(4));
            float[] expected = answer(table, slot, 2);
            gpu.fail("cuMemcpyHtoDAsync_v2", INVALID_VALUE, 1);
            Assert.assertThrows(LoraException.class, () -> table.put(adapter(8)));
            int next = table.put(adapter(4));
            Assert.assertEquals(next, slot + 1);
            Assert.assertEquals(answer(table, next, 2), expected);
            table.remove(slot);
            Assert.assertThrows(LoraBackendException.class, () -> answer(table, slot, 1));
            Assert.assertEquals(
                    table.residentBytes(), table.bytesOf(adapter(4)), "what failed is gone");
        }
    }

    @Test
    public void withoutPinnedMemoryAdaptersComeInLibtorchsStream() {
        float[] expected;
        try (AdapterTable table = backend.newTable(manager, MODULES, TYPE, 0)) {
            expected = answer(table, table.put(adapter(4)), 2);
        }
        gpu.limitPinned(0);
        try (AdapterTable table = backend.newTable(manager, MODULES, TYPE, 0)) {
            Assert.assertEquals(answer(table, table.put(adapter(4)), 2), expected);
        }
    }

    @Test
    public void ranksBeyondTheKernelsLeaveTheTableAsItWas() {
        try (AdapterTable table = backend.newTable(manager, MODULES, TYPE, 0)) {
            int slot = table.put(adapter(4));
            float[] expected = answer(table, slot, 2);
            IllegalArgumentException e =
                    Assert.expectThrows(
                            IllegalArgumentException.class, () -> table.put(adapter(600)));
            Assert.assertTrue(e.getMessage().contains("rank is 1024"), e.getMessage());
            Assert.assertEquals(table.put(adapter(40)), slot + 1);
            Assert.assertEquals(answer(table, slot, 2), expected);
        }
    }

    private float[] answer(AdapterTable table, int slot, int rows) {
        TensorOps ops = backend.getTensorOps(TYPE);
        try (NDManager scratch = manager.newSubManager()) {
            float[] values = Backends.randomValues(new Random(1), rows * 32L, 1);
            NDArray x = Backends.array(scratch, ops, TYPE, values, rows, 32);
            NDArray base = Backends.array(scratch, ops, TYPE, new float[rows * 16], rows, 16);
            BatchPlan plan = BatchPlan.uniform(slot, rows);
            return Backends.values(ops, table.apply(0, x, base, null, plan));
        }
    }

    private static PackedAdapter adapter(int rank) {
        OperatorCase.Part part = OperatorCase.Part.plain(new Random(rank), rank, 32, 16);
        return OperatorCase.pack(List.of(part), 0, TYPE);
    }
}
