// SPDX-License-Identifier: Apache-2.0
//
// The kernels' sources, and RunHere, which runs them. Where DJL_LORA_FIXED is defined they are in the namespace of that
// name.
#include "cuda/emulated_kernels.h"
#include "cuda/emulator.h"

#define DJL_LORA_EMULATE
#ifdef DJL_LORA_FIXED
#define djl_lora DJL_LORA_FIXED
#endif
#include "cuda/kernels/sgmv_bf16.cu"
#include "cuda/kernels/sgmv_f16.cu"
#ifdef DJL_LORA_FIXED
#undef djl_lora
#endif

namespace {

void RunHere(const djl_lora::cuda::KernelLaunch& launch, djl_lora::ElementType type,
             const djl_lora::cuda::SgmvParams& params, uint64_t seed) {
  using Kernel = void (*)(const djl_lora::cuda::SgmvParams&);
  static constexpr Kernel kKernels[][2] = {{sgmv_decode_shrink_f16, sgmv_decode_shrink_bf16},
                                           {sgmv_decode_expand_f16, sgmv_decode_expand_bf16},
                                           {sgmv_decode_fused_f16, sgmv_decode_fused_bf16},
                                           {sgmv_tile_shrink_f16, sgmv_tile_shrink_bf16},
                                           {sgmv_tile_expand_f16, sgmv_tile_expand_bf16}};
  const Kernel kernel = kKernels[static_cast<int>(launch.kernel)][type == djl_lora::ElementType::kBFloat16 ? 1 : 0];
  djl_lora::emulator::RunGrid(
      {{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.cluster, launch.shared_bytes}, seed,
      [&] { kernel(params); });
}

}  // namespace
