/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import java.util.Optional;

/**
 * An NVIDIA GPU that the driver lists.
 *
 * @param index its index, which is libtorch's too
 * @param name its name, such as {@code NVIDIA H200}
 * @param major the major version of its compute capability
 * @param minor the minor version of its compute capability
 * @param memoryBytes the size of its memory
 * @param multiprocessors how many multiprocessors it has
 * @param target what the kernels that suit it were compiled for, such as {@code sm_90a}; empty if
 *     none do
 */
public record CudaDevice(
        int index,
        String name,
        int major,
        int minor,
        long memoryBytes,
        int multiprocessors,
        Optional<String> target) {}
