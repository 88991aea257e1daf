/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.engine.EngineException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What there is for computing on NVIDIA GPUs: kernels, driver, devices, and libtorch's own part.
 *
 * @param toolkit the version of CUDA that compiled the kernels in the native library, 1000 times
 *     the major plus 10 times the minor version; 0 if it was built without kernels
 * @param targets what the kernels were compiled for, such as {@code sm_90a}
 * @param driver the newest version of CUDA that the driver serves, counted in the same way; 0 if
 *     there is no driver
 * @param driverProblem why there is no driver; empty if there is one
 * @param torchCuda whether libtorch is a CUDA build
 * @param devices the devices, in libtorch's order
 */
public record CudaStatus(
        int toolkit,
        List<String> targets,
        int driver,
        Optional<String> driverProblem,
        boolean torchCuda,
        List<CudaDevice> devices) {

    private static final String DRIVER_ADVICE =
            "install NVIDIA's driver, or give the container access to the GPU";

    /** What to do about a libtorch that has no CUDA. */
    public static final String TORCH_ADVICE =
            "PYTORCH_LIBRARY_PATH can name the lib folder of a CUDA build of libtorch 2.7.1; DJL's own"
                    + " is not on Maven Central, DJL downloads it where it finds a GPU and is not"
                    + " offline";

    /**
     * Constructs a new {@code CudaStatus} instance.
     *
     * @param toolkit the version of CUDA that compiled the kernels, or 0
     * @param targets what they were compiled for
     * @param driver the newest version of CUDA that the driver serves, or 0
     * @param driverProblem why there is no driver
     * @param torchCuda whether libtorch is a CUDA build
     * @param devices the devices
     */
    public CudaStatus {
        targets = List.copyOf(targets);
        devices = List.copyOf(devices);
    }

    /**
     * Reads the status of this process. This starts the driver where there is one, and takes no
     * memory of any device.
     *
     * @return the status
     * @throws EngineException if the native library cannot be used, with the reason
     */
    public static CudaStatus read() {
        LoraLibrary.load();
        int toolkit = CudaNative.toolkit();
        List<String> targets = List.of(CudaNative.targets());
        boolean torchCuda = CudaNative.torchHasCuda();
        try {
            int driver = CudaNative.driverVersion();
            return new CudaStatus(
                    toolkit, targets, driver, Optional.empty(), torchCuda, readDevices());
        } catch (EngineException e) {
            return new CudaStatus(
                    toolkit, targets, 0, Optional.of(e.getMessage()), torchCuda, List.of());
        }
    }

    private static List<CudaDevice> readDevices() {
        String[] names = CudaNative.deviceNames();
        List<CudaDevice> devices = new ArrayList<>();
        for (int i = 0; i < names.length; ++i) {
            long[] figures = CudaNative.deviceFigures(i);
            int major = (int) figures[0];
            int minor = (int) figures[1];
            devices.add(
                    new CudaDevice(
                            i,
                            names[i],
                            major,
                            minor,
                            figures[2],
                            (int) figures[3],
                            Optional.ofNullable(CudaNative.targetFor(major, minor))));
        }
        return devices;
    }

    /**
     * Loads the kernels for a device, runs one there and compares what it wrote. This makes the
     * device's context, which takes some of its memory for as long as the process lives.
     *
     * @param device the device's index
     * @return what the kernels that were loaded were compiled for
     * @throws EngineException if anything fails, with the driver's words
     */
    public static String selfTest(int device) {
        LoraLibrary.load();
        return CudaNative.selfTest(device);
    }

    /**
     * Keeps kernels that were compiled elsewhere, to be used on a device on which none that the
     * native library carries load. Those of a module that was offered before stay.
     *
     * @param device the device's index
     * @param module the name of the file that they were compiled from, without its ending
     * @param image machine code, or PTX
     * @throws EngineException if there is no driver
     */
    public static void offerImage(int device, String module, byte[] image) {
        LoraLibrary.load();
        CudaNative.offerImage(device, module, image);
    }

    /**
     * Returns what keeps the native operators from running on a GPU: the first thing that is
     * missing, and what to do about it.
     *
     * @return the obstacle, empty if there is none
     */
    public Optional<String> obstacle() {
        if (toolkit == 0) {
            return Optional.of(
                    "the native library was built without CUDA kernels; build native-op where nvcc"
                            + " is, or with DJL_LORA_CUDA=fetch");
        }
        if (driverProblem.isPresent()) {
            return driverProblem.map(reason -> reason + "; " + DRIVER_ADVICE);
        }
        if (devices.isEmpty()) {
            return Optional.of("the NVIDIA driver lists no device");
        }
        if (devices.stream().noneMatch(device -> device.target().isPresent())) {
            CudaDevice first = devices.get(0);
            return Optional.of(
                    "no kernels suit "
                            + first.name()
                            + " of compute capability "
                            + first.major()
                            + "."
                            + first.minor()
                            + "; there are "
                            + String.join(", ", targets));
        }
        return torchProblem();
    }

    /**
     * Returns what keeps libtorch from having arrays on a device.
     *
     * @param index the device's number, from 0
     * @return the reason and what to do about it, empty if there is none
     */
    public Optional<String> whyNoDevice(int index) {
        if (driverProblem.isPresent()) {
            return driverProblem.map(reason -> reason + "; " + DRIVER_ADVICE);
        }
        if (index >= devices.size()) {
            return Optional.of(
                    "there is no GPU "
                            + index
                            + "; the NVIDIA driver lists "
                            + devices.size()
                            + ", numbered from 0");
        }
        return torchProblem();
    }

    private Optional<String> torchProblem() {
        return torchCuda
                ? Optional.empty()
                : Optional.of("this libtorch is a CPU build; " + TORCH_ADVICE);
    }

    /**
     * Writes a version as people do.
     *
     * @param version a version of CUDA, such as 12080
     * @return for example {@code 12.8}
     */
    public static String versionText(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }
}
