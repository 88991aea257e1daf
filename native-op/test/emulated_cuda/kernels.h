// SPDX-License-Identifier: Apache-2.0
//
// The kernels that the emulated driver can launch.
#ifndef DJL_LORA_TEST_EMULATED_CUDA_KERNELS_H_
#define DJL_LORA_TEST_EMULATED_CUDA_KERNELS_H_

#include <functional>
#include <string>

#include "cuda/emulator.h"

namespace djl_lora::emulated {

// A launch with its arguments copied, to be run at any later time. The seed is that of the threads' order.
using Launched = std::function<void(const emulator::Grid& grid, uint64_t seed)>;

// Copies the arguments that a launch's pointers name.
using Prepare = Launched (*)(void** arguments);

// Null where there is no kernel of that name.
Prepare FindKernel(const std::string& name);

}  // namespace djl_lora::emulated

#endif  // DJL_LORA_TEST_EMULATED_CUDA_KERNELS_H_
