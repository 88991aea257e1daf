/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.Device;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.cuda.EmulatedGpu;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.lora.memory.MemorySample;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.TensorOps;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** A store of a model that lies on an emulated GPU. */
public class EmulatedGpuStoreTest {

    /** Of ranks 1 to 3, whose products float16 can hold. */
    private static final int ADAPTERS = 3;

    private static final long HOST_BYTES = 1 << 20;
    private static final ElementType TYPE = ElementType.FLOAT16;

    private EmulatedGpu gpu;
    private TempDirectory temp;
    private NDManager manager;
    private LoraContext context;
    private TensorOps ops;

    @BeforeMethod
    public void open() throws IOException {
        gpu = EmulatedTorch.load();
        temp = new TempDirectory();
        manager = NDManager.newBaseManager(Device.gpu(0), "PyTorch");
        BackendManager backends =
                BackendManager.builder().optDevice(Device.gpu(0)).optPreferred("cuda").build();
        context = new LoraContext(backends, TYPE, manager);
        ops = context.getOps();
        Shape shape = new Shape(SmallAdapters.SIZE, SmallAdapters.SIZE);
        context.addModule(SmallAdapters.MODULE, ops.zeros(manager, shape, TYPE), null);
    }

    @AfterMethod(alwaysRun = true)
    public void close() throws IOException {
        if (context == null) {
            return;
        }
        context.close();
        manager.close();
        temp.close();
        Assert.assertEquals(gpu.count("registered"), 0);
        Assert.assertEquals(gpu.count("streams"), 0);
    }

    private AdapterStore store(HostPinning pinning) throws IOException {
        StoreOptions options =
                StoreOptions.development()
                        .optDevice(TierOptions.of(2))
                        .optHost(TierOptions.of(100, HOST_BYTES))
                        .optHostPinning(pinning)
                        .optMonitoringEnabled(true)
                        .build();
        AdapterStore store = new AdapterStore(context, options);
        for (int seed = 0; seed < ADAPTERS; ++seed) {
            store.register("a" + seed, SmallAdapters.write(temp.path().resolve("a" + seed), seed));
        }
        return store;
    }

    @Test
    public void adaptersGoThroughTheGpusMemory() throws IOException {
        try (AdapterStore store = store(HostPinning.AUTO)) {
            long limit = store.statistics().device().limits().bytes();
            for (int i = 0; i < 3 * ADAPTERS; ++i) {
                check(store, i % ADAPTERS);
            }
            Assert.assertTrue(store.statistics().host().orElseThrow().hits() > 0);
            Assert.assertTrue(gpu.count("registered bytes") >= HOST_BYTES, "the host tier");

            MemorySample sample = store.getDeviceMemoryMonitor().orElseThrow().sample();
            Assert.assertEquals(sample.memory().source(), "CUDA device 0");
            Assert.assertEquals(limit, sample.memory().limit() / 4);
        }
    }

    @Test
    public void whatCannotBePinnedIsUsedAsItIs() throws IOException {
        gpu.fail("cuMemHostRegister_v2", 304, 1);
        try (AdapterStore store = store(HostPinning.AUTO)) {
            for (int i = 0; i < 2 * ADAPTERS; ++i) {
                check(store, i % ADAPTERS);
            }
            Assert.assertEquals(store.statistics().host().orElseThrow().adapters(), ADAPTERS);
        }
    }

    @Test
    public void nothingIsPinnedThatNeedNotBe() throws IOException {
        try (AdapterStore store = store(HostPinning.FALSE)) {
            check(store, 0);
            Assert.assertTrue(gpu.count("registered bytes") < HOST_BYTES);
        }
    }

    private void check(AdapterStore store, int seed) {
        try (AdapterLease lease = store.acquire("a" + seed);
                NDManager scratch = manager.newSubManager()) {
            float[] one = new float[SmallAdapters.SIZE];
            one[seed] = 1;
            NDArray x =
                    scratch.create(one, new Shape(1, SmallAdapters.SIZE))
                            .toType(DataType.FLOAT16, false);
            NDArray base = ops.zeros(scratch, new Shape(1, SmallAdapters.SIZE), TYPE);
            BatchPlan plan = BatchPlan.uniform(lease.getSlot(), 1);
            float[][] y = new float[1][];
            context.keepingBackend(
                    () ->
                            y[0] =
                                    context.getTable()
                                            .apply(0, x, base, null, plan)
                                            .toType(DataType.FLOAT32, true)
                                            .toFloatArray());
            for (int o = 0; o < SmallAdapters.SIZE; ++o) {
                float expected = 0;
                for (int r = 0; r < SmallAdapters.rank(seed); ++r) {
                    expected +=
                            SmallAdapters.value(seed, r, seed)
                                    * SmallAdapters.value(seed, r, SmallAdapters.SIZE + o);
                }
                // integers below 2^24 are summed exactly, and then rounded to 11 bits once
                Assert.assertEquals(
                        y[0][o], expected, Math.abs(expected) / 2048, "output of a" + seed);
            }
        }
    }
}
