/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.engine.Engine;
import com.sun.jna.NativeLibrary;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;

/**
 * The tests' stand-ins for NVIDIA's driver and for libtorch's part for CUDA
 * (native-op/test/emulated_cuda), which stay until the process ends: tests that use them have names
 * that begin with "Emulated", and run in a process of their own.
 */
final class EmulatedDevice {

    private static final long MEMORY = 1 << 24;

    private static EmulatedDevice loaded;

    private final NativeLibrary library;

    private EmulatedDevice(NativeLibrary library) {
        this.library = library;
    }

    /** Loads them, if that was not done. */
    static synchronized EmulatedDevice load() {
        if (loaded == null) {
            Engine.getEngine("PyTorch");
            Path driver = Path.of(System.getProperty("djl.lora.emulatedCuda", ""));
            Path torch = driver.resolveSibling("libtorch_cuda.so");
            if (!Files.isRegularFile(driver) || !Files.isRegularFile(torch)) {
                throw new SkipException(
                        torch + " is not there; native-op builds it with DJL_LORA_CUDA=fetch");
            }
            System.load(driver.toString());
            EmulatedDevice device =
                    new EmulatedDevice(NativeLibrary.getInstance(driver.toString()));
            device.call("emulated_cuda_configure", 1, 9, 0, MEMORY);
            System.load(torch.toString());
            loaded = device;
        }
        return loaded;
    }

    void slowCopies(long nanoseconds) {
        call("emulated_cuda_slow_copies", nanoseconds);
    }

    void fail(String function, int code, int times) {
        call("emulated_cuda_fail", function, code, times);
    }

    long count(String what) {
        return library.getFunction("emulated_cuda_count").invokeLong(new Object[] {what});
    }

    private void call(String function, Object... arguments) {
        library.getFunction(function).invokeVoid(arguments);
    }
}
