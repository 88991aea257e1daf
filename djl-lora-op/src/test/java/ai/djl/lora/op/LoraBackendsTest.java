/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.jni.LoraNative;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

public class LoraBackendsTest {

    @Test
    public void bestBackendIsTheFirstAvailable() {
        String best =
                LoraBackends.list().stream()
                        .filter(BackendStatus::available)
                        .findFirst()
                        .orElseThrow()
                        .name();
        Assert.assertEquals(LoraBackends.choose(null).getName(), best);
        Assert.assertEquals(LoraBackends.choose("pytorch").getName(), "pytorch");
    }

    @Test
    public void unknownBackendNamesTheKnown() {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> LoraBackends.choose("tpu"));
        Assert.assertEquals(
                e.getMessage(), "Unknown backend \"tpu\"; there are cpu, cuda, jit, pytorch");
    }

    @Test
    public void cudaIsListedWithItsReasonAndNotChosenForModelsOnTheCpu() {
        BackendStatus cuda =
                LoraBackends.list().stream()
                        .filter(status -> "cuda".equals(status.name()))
                        .findFirst()
                        .orElseThrow();
        Assert.assertFalse(cuda.available());
        Assert.assertFalse(cuda.chosen());
        Assert.assertFalse(cuda.reason().isBlank());
        LoraBackendException e =
                Assert.expectThrows(LoraBackendException.class, () -> LoraBackends.choose("cuda"));
        Assert.assertEquals(e.getMessage(), "Backend cuda cannot be used: " + cuda.reason());
        e =
                Assert.expectThrows(
                        LoraBackendException.class, () -> new CudaBackendProvider().create());
        Assert.assertEquals(e.getMessage(), "Backend cuda cannot be used: " + cuda.reason());
    }

    @Test
    public void threadTakesItsShareOfTheProcessor() throws Exception {
        if (!LoraLibrary.isAvailable()) {
            throw new SkipException("the native library is not there");
        }
        LoraBackend backend = LoraBackends.choose("cpu");
        int own = LoraNative.threads();
        CompletableFuture<int[]> counts = new CompletableFuture<>();
        Thread thread =
                new Thread(
                        () -> {
                            LoraNative.useThreads(4);
                            int first = LoraNative.threads();
                            LoraNative.useThreads(0);
                            int least = LoraNative.threads();
                            backend.shareProcessor(1_000);
                            int share = LoraNative.threads();
                            // large enough for libtorch to compute in parallel
                            try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
                                manager.ones(new Shape(512, 512))
                                        .matMul(manager.ones(new Shape(512, 512)))
                                        .toFloatArray();
                            }
                            int after = LoraNative.threads();
                            counts.complete(new int[] {first, least, share, after});
                        });
        thread.start();
        Assert.assertEquals(counts.get(60, TimeUnit.SECONDS), new int[] {4, 1, 1, 1});
        Assert.assertEquals(LoraNative.threads(), own, "of another thread");
    }

    @Test
    public void typesWithoutTheNativeLibraryAreRefused() {
        if (LoraLibrary.isAvailable()) {
            throw new SkipException("the native library is there and holds every type");
        }
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            LoraBackend backend = LoraBackends.choose("pytorch");
            LoraBackendException e =
                    Assert.expectThrows(
                            LoraBackendException.class,
                            () -> new LoraContext(backend, ElementType.BFLOAT16, manager));
            Assert.assertEquals(
                    e.getMessage(),
                    "Backend pytorch does not compute in bfloat16; it computes in float32");
        }
    }
}
