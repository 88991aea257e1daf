// SPDX-License-Identifier: Apache-2.0
//
// Whether a device runs this library's kernels at all.
#ifndef DJL_LORA_CUDA_SELF_TEST_H_
#define DJL_LORA_CUDA_SELF_TEST_H_

#include <cstdint>
#include <string>

#include "cuda/images.h"

namespace djl_lora {

// Loads the kernels for a device, runs the one of src/cuda/kernels/self_test.cu there and compares what it wrote.
// Returns the target of the image that was used, such as sm_90a; throws EngineError with what went wrong.
std::string RunSelfTest(const Driver& driver, KernelCache* kernels, int32_t device);

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_SELF_TEST_H_
