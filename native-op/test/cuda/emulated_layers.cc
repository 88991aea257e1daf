// SPDX-License-Identifier: Apache-2.0
#include "cuda/emulated_layers.h"

#include <functional>
#include <variant>

#define DJL_LORA_EMULATE
#include "cuda/kernels/attention_bf16.cu"
#include "cuda/kernels/attention_f16.cu"
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
    default: {
      using Kernel = void (*)(const cuda::AttentionParams&);
      static constexpr Kernel kKernels[][2] = {{attention_decode_64_f16, attention_decode_64_bf16},
                                               {attention_decode_80_f16, attention_decode_80_bf16},
                                               {attention_decode_96_f16, attention_decode_96_bf16},
                                               {attention_decode_128_f16, attention_decode_128_bf16},
                                               {attention_decode_256_f16, attention_decode_256_bf16},
                                               {attention_decode_combine_f16, attention_decode_combine_bf16},
                                               {attention_decode_plain_f16, attention_decode_plain_bf16}};
      const int number = static_cast<int>(launch.kernel) - static_cast<int>(cuda::LayerKernel::kAttention64);
      const Kernel attention = kKernels[number][bf16 ? 1 : 0];
      kernel = [&, attention] { attention(std::get<cuda::AttentionParams>(launch.params)); };
      break;
    }
  }
  emulator::RunGrid({{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, 1, launch.shared_bytes}, seed_,
                    kernel);
  ++launches;
}

}  // namespace djl_lora
