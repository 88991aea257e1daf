/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Compiles the CUDA kernels at run time, for one rank, hidden size and type and for the device that
 * is there, and keeps the results on disk. Needs NVRTC and JCuda, which users without a GPU do not
 * carry; without them everything else works.
 */
package ai.djl.lora.jit;
