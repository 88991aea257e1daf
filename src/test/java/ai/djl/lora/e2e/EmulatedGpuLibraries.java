/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.engine.Engine;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;

/**
 * The tests' stand-ins for NVIDIA's driver and for libtorch's part for CUDA
 * (native-op/test/emulated_cuda). A process that has loaded them keeps them until it ends.
 */
final class EmulatedGpuLibraries {

    private EmulatedGpuLibraries() {}

    /** Loads both behind libtorch, or skips the test where they were not built. */
    static void load() {
        Path driver = Path.of(System.getProperty("djl.lora.emulatedCuda"));
        Path torch = driver.resolveSibling("libtorch_cuda.so");
        for (Path library : new Path[] {driver, torch}) {
            if (!Files.isRegularFile(library)) {
                throw new SkipException(
                        library + " is not there; native-op builds it with DJL_LORA_CUDA=fetch");
            }
        }
        Engine.getEngine("PyTorch");
        System.load(driver.toString());
        System.load(torch.toString());
    }
}
