/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;

/**
 * The tests' stand-in for NVIDIA's driver, whose devices' memory is the host's
 * (native-op/test/emulated_cuda). What has loaded it keeps it until the process ends, so tests that
 * use it have names that begin with "Emulated": they run in a process of their own.
 */
public final class EmulatedGpu {

    private static final long MEMORY = 1 << 24;

    private final NativeLibrary library;

    private EmulatedGpu(NativeLibrary library) {
        this.library = library;
    }

    /** Loads the driver before anybody looks for one, with one device of 16 MiB. */
    public static EmulatedGpu load() {
        return load(1);
    }

    public static EmulatedGpu load(int devices) {
        String path = System.getProperty("djl.lora.emulatedCuda");
        if (path == null || !Files.isRegularFile(Path.of(path))) {
            throw new SkipException("native-op's tests were not built: " + path + " is not there");
        }
        System.load(path);
        EmulatedGpu gpu = new EmulatedGpu(NativeLibrary.getInstance(path));
        gpu.configure(devices, MEMORY);
        gpu.slowCopies(0);
        gpu.limitPinned(Long.MAX_VALUE);
        return gpu;
    }

    public void configure(int devices, long bytes) {
        call("emulated_cuda_configure", devices, 9, 0, bytes);
    }

    public void limitPinned(long bytes) {
        call("emulated_cuda_limit_pinned", bytes);
    }

    public void slowCopies(long nanoseconds) {
        call("emulated_cuda_slow_copies", nanoseconds);
    }

    public void fail(String function, int code, int times) {
        call("emulated_cuda_fail", function, code, times);
    }

    public void hold(long stream) {
        call("emulated_cuda_hold", stream);
    }

    public void letGo(long stream) {
        call("emulated_cuda_let_go", stream);
    }

    public long count(String what) {
        return library.getFunction("emulated_cuda_count").invokeLong(new Object[] {what});
    }

    /** Takes memory of the device. */
    public long allocate(CudaContext context, long bytes) {
        LongByReference address = new LongByReference();
        context.call(
                "Allocating " + bytes + " bytes (cuMemAlloc)",
                () ->
                        library.getFunction("cuMemAlloc_v2")
                                .invokeInt(new Object[] {address, bytes}));
        return address.getValue();
    }

    public void free(CudaContext context, long address) {
        context.call(
                "Freeing memory (cuMemFree)",
                () -> library.getFunction("cuMemFree_v2").invokeInt(new Object[] {address}));
    }

    /** Returns what lies on the device now, whatever is under way. */
    public static byte[] read(long address, int bytes) {
        return new Pointer(address).getByteArray(0, bytes);
    }

    private void call(String function, Object... arguments) {
        library.getFunction(function).invokeVoid(arguments);
    }
}
