/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.engine.EngineException;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.jni.CudaStatus;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compiles all kernels for a device that none of the native library's serve: where it was built
 * without any, or the driver is older than the CUDA that compiled them.
 */
public final class JitModules {

    private static final Logger logger = LoggerFactory.getLogger(JitModules.class);

    /** The files of kernels, without their ending. */
    static final List<String> MODULES =
            List.of(
                    "self_test",
                    "layers_f16",
                    "layers_bf16",
                    "layers_f32",
                    "attention_f16",
                    "attention_bf16",
                    "sgmv_f16",
                    "sgmv_bf16");

    private JitModules() {}

    /**
     * Says why the kernels in the native library cannot be used on a device, by running one.
     *
     * @param device the device
     * @return the reason, empty if they can
     */
    public static Optional<String> whyNotOfLibrary(CudaDevice device) {
        try {
            CudaStatus.selfTest(device.index());
            return Optional.empty();
        } catch (EngineException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * Gives the native library kernels for a device on which its own do not run; nothing where they
     * do. Compiling takes up to minutes the first time, and is kept on disk.
     *
     * @param kernels where compiled kernels come from
     * @param device the device
     * @throws ai.djl.lora.LoraBackendException if they do not compile
     */
    public static void provide(JitKernels kernels, CudaDevice device) {
        Optional<String> reason = whyNotOfLibrary(device);
        if (reason.isEmpty()) {
            return;
        }
        logger.info("Compiling kernels for {}: {}", device.name(), reason.get());
        for (String module : MODULES) {
            CudaStatus.offerImage(
                    device.index(),
                    module,
                    kernels.get(module + ".cu", device.major(), device.minor()).code());
        }
    }
}
