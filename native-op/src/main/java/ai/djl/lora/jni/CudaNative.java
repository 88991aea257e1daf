/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

/**
 * The methods of the native library that tell what it can do on NVIDIA GPUs, one to one.
 *
 * <p>The library is linked against no part of CUDA: it looks for the driver, {@code libcuda.so.1},
 * when one of these methods is first called. Before any is used {@link LoraLibrary#load()} must
 * have returned. All may be called from any thread.
 */
final class CudaNative {

    private CudaNative() {}

    /**
     * Returns the version of CUDA that compiled the kernels in the library.
     *
     * @return 1000 times the major plus 10 times the minor version, such as 13000; 0 if the library
     *     was built without kernels
     */
    static native int toolkit();

    /**
     * Returns what the kernels were compiled for.
     *
     * @return names such as {@code sm_90a}, and {@code compute_80} for code that the driver
     *     compiles; empty if the library was built without kernels
     */
    static native String[] targets();

    /**
     * Returns which of the targets suits a device best.
     *
     * @param major the major version of its compute capability
     * @param minor the minor version of its compute capability
     * @return the target's name, or null if none suits it
     */
    static native String targetFor(int major, int minor);

    /**
     * Returns whether libtorch is a CUDA build.
     *
     * @return whether it is
     */
    static native boolean torchHasCuda();

    /**
     * Returns the newest version of CUDA that the driver serves.
     *
     * @return the version, counted as in {@link #toolkit}
     * @throws ai.djl.engine.EngineException if there is no driver or it does not start, with the
     *     reason
     */
    static native int driverVersion();

    /**
     * Returns the names of the devices.
     *
     * @return a name for each, in libtorch's order
     * @throws ai.djl.engine.EngineException as for {@link #driverVersion}
     */
    static native String[] deviceNames();

    /**
     * Returns the figures of a device.
     *
     * @param device its index
     * @return major and minor version of its compute capability, bytes of memory, multiprocessors
     * @throws ai.djl.engine.EngineException as for {@link #driverVersion}
     */
    static native long[] deviceFigures(int device);

    /**
     * Loads the kernels for a device, runs one there and compares what it wrote. This makes the
     * device's context, which takes some of its memory for as long as the process lives.
     *
     * @param device its index
     * @return the target that was loaded
     * @throws ai.djl.engine.EngineException if anything fails, with the driver's words
     */
    static native String selfTest(int device);

    /**
     * Keeps kernels that were compiled elsewhere, for a device on which none of the library's load.
     * Those of a module that was offered before stay.
     *
     * @param device its index
     * @param module the name of the file that they were compiled from, without its ending
     * @param image machine code, or PTX
     * @throws ai.djl.engine.EngineException as for {@link #driverVersion}
     */
    static native void offerImage(int device, String module, byte[] image);
}
