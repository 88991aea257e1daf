/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.engine.EngineException;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.jni.CudaStatus;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.stream.Collectors;

/**
 * What there is for NVIDIA GPUs, in words.
 *
 * @param status what was found
 * @param selfTest runs a kernel on the device of an index and returns what it was compiled for;
 *     fails with an {@code EngineException}
 */
record CudaDiagnosis(CudaStatus status, IntFunction<String> selfTest) {

    /** Returns the devices, or why there is none, and what takes their place. */
    String devices() {
        if (status.driverProblem().isPresent()) {
            return status.driverProblem().get() + "; everything is computed on the CPU";
        }
        String driver = "driver for CUDA " + CudaStatus.versionText(status.driver());
        if (status.devices().isEmpty()) {
            return driver + ", no device; everything is computed on the CPU";
        }
        return driver
                + "; "
                + status.devices().stream().map(this::device).collect(Collectors.joining("; "));
    }

    private String device(CudaDevice device) {
        return String.format(
                Locale.ROOT,
                "%d: %s, compute capability %d.%d, %.1f GiB, %d multiprocessors, %s",
                device.index(),
                device.name(),
                device.major(),
                device.minor(),
                device.memoryBytes() / 0x1p30,
                device.multiprocessors(),
                kernelsFor(device));
    }

    private String kernelsFor(CudaDevice device) {
        if (device.target().isEmpty()) {
            return "no kernels for it";
        }
        try {
            return "kernels for " + selfTest.apply(device.index()) + ", self test passed";
        } catch (EngineException e) {
            return "self test failed: " + e.getMessage();
        }
    }

    /** Returns what kernels the native library has. */
    String kernels() {
        if (status.toolkit() == 0) {
            return "none, the native library was built without nvcc; DJL_LORA_CUDA=fetch lets the"
                    + " build fetch it";
        }
        String text =
                "compiled by CUDA "
                        + CudaStatus.versionText(status.toolkit())
                        + " for "
                        + String.join(" ", status.targets());
        return status.driver() != 0 && status.driver() < status.toolkit()
                ? text + "; the driver is older and may not load them, update it"
                : text;
    }

    /** Returns whether libtorch computes on GPUs, and what to do if it does not. */
    String libtorch() {
        return status.torchCuda()
                ? "a CUDA build; models lie on the CPU in this version all the same"
                : "a CPU build"
                        + (status.devices().isEmpty() ? "" : "; " + CudaStatus.TORCH_ADVICE);
    }
}
