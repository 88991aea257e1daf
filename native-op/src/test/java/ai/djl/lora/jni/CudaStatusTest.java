/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.engine.EngineException;
import java.util.List;
import java.util.Optional;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** What is told of GPUs: on the machine of the test, and in every case that there is. */
public class CudaStatusTest {

    private static final List<String> TARGETS = List.of("sm_80", "sm_90a", "compute_80");
    private static final CudaDevice HOPPER =
            new CudaDevice(0, "A GPU", 9, 0, 80L << 30, 132, Optional.of("sm_90a"));
    private static final CudaDevice TURING =
            new CudaDevice(0, "An old GPU", 7, 5, 16L << 30, 40, Optional.empty());

    private static CudaStatus withDevices(boolean torchCuda, CudaDevice... devices) {
        return new CudaStatus(13000, TARGETS, 13000, Optional.empty(), torchCuda, List.of(devices));
    }

    @Test
    public void thisMachineHasEverythingOrAReason() {
        NativeTestBase.requireLibrary();
        CudaStatus status = CudaStatus.read();
        Assert.assertEquals(status.toolkit() == 0, status.targets().isEmpty());
        Assert.assertEquals(status.driver() == 0, status.driverProblem().isPresent());
        if (status.driverProblem().isPresent()) {
            Assert.assertTrue(status.devices().isEmpty());
            EngineException e =
                    Assert.expectThrows(EngineException.class, () -> CudaStatus.selfTest(0));
            Assert.assertEquals(e.getMessage(), status.driverProblem().get());
        }
        if (status.toolkit() != 0) {
            Assert.assertTrue(status.targets().contains("compute_80"), status.toString());
        }
    }

    @Test
    public void theKernelsSuitTheDevicesThatTheyWereCompiledFor() {
        NativeTestBase.requireLibrary();
        LoraLibrary.load();
        if (CudaNative.toolkit() == 0) {
            throw new SkipException("the native library was built without nvcc");
        }
        Assert.assertNull(CudaNative.targetFor(7, 5));
        Assert.assertEquals(CudaNative.targetFor(8, 0), "sm_80");
        Assert.assertEquals(CudaNative.targetFor(9, 0), "sm_90a");
        Assert.assertEquals(CudaNative.targetFor(12, 0), "compute_80");
    }

    @Test
    public void theFirstObstacleIsTold() {
        Assert.assertEquals(
                new CudaStatus(0, List.of(), 0, Optional.of("no driver"), false, List.of())
                        .obstacle()
                        .orElseThrow(),
                "the native library was built without CUDA kernels; build native-op where nvcc is,"
                        + " or with DJL_LORA_CUDA=fetch");
        Assert.assertEquals(
                new CudaStatus(13000, TARGETS, 0, Optional.of("no driver"), false, List.of())
                        .obstacle()
                        .orElseThrow(),
                "no driver; install NVIDIA's driver, or give the container access to the GPU");
        Assert.assertEquals(
                withDevices(false).obstacle().orElseThrow(), "the NVIDIA driver lists no device");
        Assert.assertEquals(
                withDevices(false, TURING).obstacle().orElseThrow(),
                "no kernels suit An old GPU of compute capability 7.5; there are sm_80, sm_90a,"
                        + " compute_80");
        String torch = withDevices(false, TURING, HOPPER).obstacle().orElseThrow();
        Assert.assertTrue(torch.startsWith("this libtorch is a CPU build; PYTORCH_LIBRARY_PATH"));
        Assert.assertTrue(torch.contains("not on Maven Central"), torch);
        Assert.assertEquals(withDevices(true, HOPPER).obstacle(), Optional.empty());
    }

    @Test
    public void versionsAreWrittenAsPeopleDo() {
        Assert.assertEquals(CudaStatus.versionText(12080), "12.8");
        Assert.assertEquals(CudaStatus.versionText(13000), "13.0");
    }
}
