/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.LoraBackendException;
import java.util.Collection;

/**
 * What kernels are compiled for.
 *
 * @param name what NVRTC calls it: {@code sm_86} for the machine code of a device, {@code
 *     compute_90} for PTX, which the driver compiles
 */
public record KernelTarget(String name) {

    private static final int HOPPER = 90;

    /**
     * Returns the target for a device: machine code where the compiler knows the device, else PTX
     * of the newest architecture that it knows and the device runs.
     *
     * @param major the major version of the device's compute capability
     * @param minor the minor version of the device's compute capability
     * @param known the architectures that the compiler knows, 10 times the major plus the minor
     *     version
     * @return the target
     * @throws LoraBackendException if the compiler knows none that the device runs
     */
    public static KernelTarget of(int major, int minor, Collection<Integer> known) {
        int device = 10 * major + minor;
        if (known.contains(device)) {
            // Hopper's own instructions are in the form with an "a"
            return new KernelTarget("sm_" + device + (device == HOPPER ? "a" : ""));
        }
        int newest =
                known.stream()
                        .filter(architecture -> architecture < device)
                        .max(Integer::compare)
                        .orElseThrow(
                                () ->
                                        new LoraBackendException(
                                                "NVRTC compiles nothing for compute capability "
                                                        + major
                                                        + "."
                                                        + minor
                                                        + "; it knows "
                                                        + known));
        return new KernelTarget("compute_" + newest);
    }

    /**
     * Returns whether the result is text for the driver's compiler, not machine code.
     *
     * @return whether it is PTX
     */
    public boolean isPtx() {
        return name.startsWith("compute_");
    }
}
