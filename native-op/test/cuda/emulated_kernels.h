// SPDX-License-Identifier: Apache-2.0
//
// The kernels of SGMV, run by the emulator.
#ifndef DJL_LORA_TEST_CUDA_EMULATED_KERNELS_H_
#define DJL_LORA_TEST_CUDA_EMULATED_KERNELS_H_

#include <cstdint>

#include "cpu/element.h"
#include "cuda/kernels/abi.h"
#include "cuda/sgmv_launches.h"

namespace djl_lora::cuda {

// Runs one launch; `type` is one of the 16-bit types.
void RunEmulated(const KernelLaunch& launch, ElementType type, const SgmvParams& params, uint64_t seed);

// The same kernels, compiled for one rank and number of inputs.
struct FixedImage {
  int rank;
  int in;
  void (*run)(const KernelLaunch& launch, ElementType type, const SgmvParams& params, uint64_t seed);
};
extern const FixedImage kFixedImageRank5;
extern const FixedImage kFixedImageRank16;
extern const FixedImage kFixedImageRank19;

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_TEST_CUDA_EMULATED_KERNELS_H_
