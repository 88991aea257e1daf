/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.lora.op.BackendManager;
import ai.djl.lora.op.LoraBackend;
import ai.djl.lora.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.SkipException;

/**
 * The tests' stand-in for libtorch's part for CUDA, whose tensors lie in the host's memory
 * (native-op/test/emulated_cuda/torch.cc), over {@link EmulatedGpu}. As that, it stays until the
 * process ends.
 */
public final class EmulatedTorch {

    private static EmulatedGpu loaded;

    private EmulatedTorch() {}

    /**
     * Loads it behind libtorch, if that was not done. The driver below it must not be configured
     * anew, since what libtorch and the native library have of it would be lost.
     *
     * @return the driver below it
     * @throws SkipException if it was not built
     */
    public static synchronized EmulatedGpu load() {
        if (loaded != null) {
            return loaded;
        }
        Engine.getEngine("PyTorch");
        EmulatedGpu gpu = EmulatedGpu.load();
        Path path =
                Path.of(System.getProperty("djl.lora.emulatedCuda"))
                        .resolveSibling("libtorch_cuda.so");
        if (!Files.isRegularFile(path)) {
            throw new SkipException(
                    path + " is not there; native-op builds it with DJL_LORA_CUDA=fetch");
        }
        System.load(path.toString());
        loaded = gpu;
        return gpu;
    }

    /** Returns {backend, type} for the types of the backend {@code cuda}. */
    public static Object[][] backends() {
        LoraBackend backend =
                BackendManager.builder()
                        .optDevice(Device.gpu(0))
                        .optPreferred("cuda")
                        .build()
                        .current();
        List<Object[]> cases = new ArrayList<>();
        for (ElementType type : ElementType.values()) {
            if (backend.supports(type)) {
                cases.add(new Object[] {backend, type});
            }
        }
        return cases.toArray(new Object[0][]);
    }
}
