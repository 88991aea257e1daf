// SPDX-License-Identifier: Apache-2.0
#include "cuda/emulated_kernels.h"

#include "cuda/emulated_run.h"

namespace djl_lora::cuda {

void RunEmulated(const KernelLaunch& launch, ElementType type, const SgmvParams& params, uint64_t seed) {
  RunHere(launch, type, params, seed);
}

}  // namespace djl_lora::cuda
