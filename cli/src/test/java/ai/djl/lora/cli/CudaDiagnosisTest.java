/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.engine.EngineException;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.jni.CudaStatus;
import java.util.List;
import java.util.Optional;
import org.testng.Assert;
import org.testng.annotations.Test;

/** What doctor says of GPUs, in every case. */
public class CudaDiagnosisTest {

    private static final List<String> TARGETS = List.of("sm_80", "sm_90a", "compute_80");
    private static final CudaDevice HOPPER =
            new CudaDevice(0, "A GPU", 9, 0, 80L << 30, 132, Optional.of("sm_90a"));
    private static final CudaDevice TURING =
            new CudaDevice(1, "An old GPU", 7, 5, 16L << 30, 40, Optional.empty());

    private static CudaDiagnosis of(CudaStatus status) {
        return new CudaDiagnosis(status, device -> "sm_90a");
    }

    @Test
    public void withoutDriverEverythingIsOnTheCpu() {
        CudaDiagnosis none =
                of(
                        new CudaStatus(
                                13000,
                                TARGETS,
                                0,
                                Optional.of("no NVIDIA driver: libcuda.so.1: not there"),
                                false,
                                List.of()));
        Assert.assertEquals(
                none.devices(),
                "no NVIDIA driver: libcuda.so.1: not there; everything is computed on the CPU");
        Assert.assertEquals(none.kernels(), "compiled by CUDA 13.0 for sm_80 sm_90a compute_80");
        Assert.assertEquals(none.libtorch(), "a CPU build");
    }

    @Test
    public void devicesAreTriedAndTheCpuBuildOfLibtorchIsExplained() {
        CudaDiagnosis two =
                of(
                        new CudaStatus(
                                13000,
                                TARGETS,
                                13000,
                                Optional.empty(),
                                false,
                                List.of(HOPPER, TURING)));
        Assert.assertEquals(
                two.devices(),
                "driver for CUDA 13.0; 0: A GPU, compute capability 9.0, 80.0 GiB, 132"
                        + " multiprocessors, kernels for sm_90a, self test passed; 1: An old GPU,"
                        + " compute capability 7.5, 16.0 GiB, 40 multiprocessors, no kernels for it");
        Assert.assertTrue(two.libtorch().startsWith("a CPU build; PYTORCH_LIBRARY_PATH"));
        Assert.assertTrue(two.libtorch().contains("not on Maven Central"), two.libtorch());
    }

    @Test
    public void aSelfTestThatFailsAndAnOldDriverAreTold() {
        CudaDiagnosis old =
                new CudaDiagnosis(
                        new CudaStatus(
                                13000, TARGETS, 12080, Optional.empty(), true, List.of(HOPPER)),
                        device -> {
                            throw new EngineException("no image loads");
                        });
        Assert.assertTrue(
                old.devices().endsWith("132 multiprocessors, self test failed: no image loads"),
                old.devices());
        Assert.assertEquals(
                old.kernels(),
                "compiled by CUDA 13.0 for sm_80 sm_90a compute_80; the driver is older and may not"
                        + " load them, update it");
        Assert.assertEquals(
                old.libtorch(), "a CUDA build; models lie on the CPU in this version all the same");
    }

    @Test
    public void aBuildWithoutKernelsAndADriverWithoutDevicesAreTold() {
        CudaDiagnosis bare =
                of(new CudaStatus(0, List.of(), 12040, Optional.empty(), false, List.of()));
        Assert.assertEquals(
                bare.kernels(),
                "none, the native library was built without nvcc; DJL_LORA_CUDA=fetch lets the"
                        + " build fetch it");
        Assert.assertEquals(
                bare.devices(),
                "driver for CUDA 12.4, no device; everything is computed on the CPU");
    }
}
