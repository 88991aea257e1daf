/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import java.util.List;
import java.util.SortedSet;

/** Compiles CUDA kernels. */
public interface KernelCompiler {

    /**
     * Returns the compiler's version, on which its output depends.
     *
     * @return for example {@code 12.6}
     */
    String version();

    /**
     * Returns the architectures that it compiles for.
     *
     * @return 10 times the major plus the minor version of each
     */
    SortedSet<Integer> architectures();

    /**
     * Compiles a file of kernels.
     *
     * @param source the file and its headers
     * @param options options beside the target's
     * @param target what to compile for
     * @return machine code as the driver loads it, or PTX with a zero behind it
     * @throws ai.djl.lora.LoraBackendException if the source does not compile, with the compiler's
     *     first error
     */
    byte[] compile(KernelSource source, List<String> options, KernelTarget target);
}
