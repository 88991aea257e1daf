/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
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
        Assert.assertEquals(e.getMessage(), "Unknown backend \"tpu\"; there are cpu, pytorch, cuda");
    }

    @Test
    public void cudaIsListedWithItsReasonAndNeverChosen() {
        BackendStatus cuda =
                LoraBackends.list().stream()
                        .filter(status -> "cuda".equals(status.name()))
                        .findFirst()
                        .orElseThrow();
        Assert.assertFalse(cuda.available());
        Assert.assertFalse(cuda.chosen());
        Assert.assertFalse(cuda.reason().isBlank());
        LoraBackendException e =
                Assert.expectThrows(
                        LoraBackendException.class, () -> LoraBackends.choose("cuda"));
        Assert.assertEquals(e.getMessage(), "Backend cuda cannot be used: " + cuda.reason());
        e =
                Assert.expectThrows(
                        LoraBackendException.class, () -> new CudaBackendProvider().create());
        Assert.assertEquals(e.getMessage(), "Backend cuda cannot be used: " + cuda.reason());
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
