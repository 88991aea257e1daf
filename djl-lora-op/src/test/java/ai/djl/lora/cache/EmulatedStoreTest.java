/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.cuda.CudaContext;
import ai.djl.lora.cuda.CudaMemorySource;
import ai.djl.lora.cuda.EmulatedGpu;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemorySample;
import ai.djl.lora.op.LoraContext;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** A store whose memory a GPU's driver pins and tells of, on the tests' stand-in for it. */
public class EmulatedStoreTest {

    private static final int ADAPTERS = 6;
    private static final long HOST_BYTES = 1 << 20;
    private static final long GPU_BYTES = 1 << 26;

    private EmulatedGpu gpu;
    private TempDirectory temp;
    private SmallAdapters adapters;
    private NDManager manager;
    private LoraContext context;

    @BeforeMethod
    public void open() throws IOException {
        gpu = EmulatedGpu.load();
        gpu.configure(1, GPU_BYTES);
        temp = new TempDirectory();
        adapters = new SmallAdapters(temp.path(), ADAPTERS);
        manager = NDManager.newBaseManager("PyTorch");
        context = SmallAdapters.context(manager);
    }

    @AfterMethod(alwaysRun = true)
    public void close() throws IOException {
        if (context == null) {
            return;
        }
        context.close();
        manager.close();
        temp.close();
        for (String what : List.of("registered", "streams", "events", "contexts")) {
            Assert.assertEquals(gpu.count(what), 0, what);
        }
    }

    private static StoreOptions.Builder options() {
        return StoreOptions.development()
                .optDevice(TierOptions.of(2, 1 << 20))
                .optHost(TierOptions.of(100, HOST_BYTES));
    }

    private AdapterStore filled(StoreOptions options) {
        AdapterStore store = new AdapterStore(context, options);
        for (int i = 0; i < ADAPTERS; ++i) {
            store.register("a" + i, adapters.folder(i));
        }
        return store;
    }

    /* Each adapter comes from its files, and then from the copy in the host's memory. */
    private void useAll(AdapterStore store) {
        for (int round = 0; round < 3; ++round) {
            for (int i = 0; i < ADAPTERS; ++i) {
                try (AdapterLease lease = store.acquire("a" + i)) {
                    Assert.assertEquals(adapters.seedOf(lease.getRevision()), i);
                    adapters.check(lease, context, manager);
                }
            }
        }
        Assert.assertTrue(store.statistics().host().orElseThrow().hits() > 0);
    }

    @Test
    public void copiesLieInPinnedMemory() {
        try (AdapterStore store = filled(options().optHostPinning(HostPinning.TRUE).build())) {
            useAll(store);
            Assert.assertEquals(gpu.count("registered bytes"), HOST_BYTES);
        }
        Assert.assertEquals(gpu.count("registered"), 0);
    }

    @Test
    public void nothingIsPinnedForAModelOnTheCpuUnlessItMustBe() {
        for (HostPinning pinning : List.of(HostPinning.AUTO, HostPinning.FALSE)) {
            try (AdapterStore store = filled(options().optHostPinning(pinning).build())) {
                useAll(store);
                Assert.assertEquals(gpu.count("contexts"), 0);
                Assert.assertTrue(store.getDeviceMemory().isEmpty());
            }
        }
    }

    @Test
    public void memoryThatMustBePinnedAndCannotBeIsRefused() {
        gpu.limitPinned(HOST_BYTES - 1);
        try (AdapterStore store = filled(options().optHostPinning(HostPinning.TRUE).build())) {
            LoraMemoryException refused =
                    Assert.expectThrows(
                            LoraMemoryException.class,
                            () -> {
                                try (AdapterLease lease = store.acquire("a0")) {
                                    Assert.fail(lease + " was given");
                                }
                            });
            Assert.assertTrue(
                    refused.getMessage().contains("cuMemHostRegister"), refused.getMessage());
        }
    }

    @Test
    public void memoryThatMustBePinnedTakesADriver() {
        gpu.fail("cuDevicePrimaryCtxRetain", 100, 1);
        Assert.assertEquals(
                Assert.expectThrows(
                                LoraConfigurationException.class,
                                () ->
                                        new AdapterStore(
                                                context,
                                                options().optHostPinning(HostPinning.TRUE).build()))
                        .getMessage(),
                "host.pinned is true, but The primary context of CUDA device 0"
                        + " (cuDevicePrimaryCtxRetain) failed: no CUDA-capable device is detected"
                        + " (CUDA_ERROR_NO_DEVICE)");
    }

    @Test
    public void theDevicesMemoryIsWatchedByItself() {
        try (CudaContext cuda = CudaContext.open(0)) {
            long taken = gpu.allocate(cuda, 1 << 20);
            StoreOptions options =
                    options()
                            .optDevice(TierOptions.of(2))
                            .optMonitoringEnabled(true)
                            .optDeviceMemorySource(new CudaMemorySource(cuda))
                            .build();
            try (AdapterStore store = filled(options)) {
                Assert.assertTrue(store.getDeviceMemory().isPresent());
                Assert.assertEquals(
                        store.statistics().device().limits().bytes(),
                        GPU_BYTES / 4,
                        "a share of the device's memory, not of the host's");
                useAll(store);
                store.addMemoryConsumer(MemoryMonitor.MODEL_WEIGHTS, () -> 123);
                store.reportStep(1000);
                MemorySample device = store.getDeviceMemoryMonitor().orElseThrow().sample();
                Assert.assertEquals(device.memory().used(), 1 << 20);
                Assert.assertEquals(device.memory().limit(), GPU_BYTES);
                Assert.assertEquals(device.memory().source(), "CUDA device 0");
                Assert.assertEquals(device.activationReserve(), 1500);
                Assert.assertEquals(
                        device.consumers().get(MemoryMonitor.MODEL_WEIGHTS).longValue(), 123);
                Assert.assertEquals(
                        device.consumers().get("adapters on the device").longValue(),
                        store.statistics().device().bytes());
                MemorySample host = store.getMemoryMonitor().orElseThrow().sample();
                Assert.assertEquals(
                        host.consumers().keySet(), Set.of("adapters in the host's memory"));
                Assert.assertEquals(host.activationReserve(), 0);
            }
            gpu.free(cuda, taken);
        }
    }
}
