/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Memory of NVIDIA's GPUs and copies to and from it, by the driver's functions as JCuda calls them.
 *
 * <p>JCuda is an optional dependency: without {@code org.jcuda:jcuda} and {@code
 * org.jcuda:jcuda-natives} on the class path, or without the driver, {@link
 * ai.djl.lora.cuda.CudaContext#unavailable()} says why, and nothing else of this project is
 * affected.
 */
package ai.djl.lora.cuda;
