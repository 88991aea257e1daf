// SPDX-License-Identifier: Apache-2.0
#include "cuda/emulated_layers.h"

#include <functional>
#include <variant>

#define DJL_LORA_EMULATE
#include "cuda/kernels/layers_bf16.cu"
#include "cuda/kernels/layers_f16.cu"
#include "cuda/kernels/layers_f32.cu"

namespace djl_lora {

void EmulatedLayerDevice::Launch(ElementType type, const cuda::LayerLaunch& launch) const {
  const bool bf16 = type == ElementType::kBFloat16;
  std::function<void()> kernel;
  switch (launch.kernel) {
    case cuda::LayerKernel::kRmsNorm:
      kernel = [&] {
        (bf16 ? layers_decode_rms_norm_bf16 : layers_decode_rms_norm_f16)(std::get<cuda::NormParams>(launch.params));
      };
      break;
    case cuda::LayerKernel::kSiluMul:
      kernel = [&] {
        (bf16 ? layers_decode_silu_mul_bf16 : layers_decode_silu_mul_f16)(std::get<cuda::SiluMulParams>(launch.params));
      };
      break;
    case cuda::LayerKernel::kArgmax:
      kernel = [&] { layers_decode_argmax_f32(std::get<cuda::ArgmaxParams>(launch.params)); };
      break;
    case cuda::LayerKernel::kKvWrite:
      kernel = [&] {
        (bf16 ? layers_decode_kv_write_bf16 : layers_decode_kv_write_f16)(std::get<cuda::KvWriteParams>(launch.params));
      };
      break;
  }
  emulator::RunGrid({{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, 1, launch.shared_bytes}, seed_,
                    kernel);
  ++launches;
}

}  // namespace djl_lora
