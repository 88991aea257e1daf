// SPDX-License-Identifier: Apache-2.0
#include "cuda/emulated_kernels.h"

#include <string>

#define DJL_LORA_EMULATE
#include "cuda/kernels/sgmv_bf16.cu"
#include "cuda/kernels/sgmv_f16.cu"

namespace djl_lora::cuda {

void RunEmulated(const KernelLaunch& launch, ElementType type, const SgmvParams& params, uint64_t seed) {
  using Kernel = void (*)(const SgmvParams&);
  static constexpr Kernel kKernels[][2] = {{sgmv_decode_shrink_f16, sgmv_decode_shrink_bf16},
                                           {sgmv_decode_expand_f16, sgmv_decode_expand_bf16},
                                           {sgmv_decode_fused_f16, sgmv_decode_fused_bf16},
                                           {sgmv_tile_shrink_f16, sgmv_tile_shrink_bf16},
                                           {sgmv_tile_expand_f16, sgmv_tile_expand_bf16}};
  const Kernel kernel = kKernels[static_cast<int>(launch.kernel)][type == ElementType::kBFloat16 ? 1 : 0];
  emulator::RunGrid(
      {{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.cluster, launch.shared_bytes}, seed,
      [&] { kernel(params); });
}

}  // namespace djl_lora::cuda
