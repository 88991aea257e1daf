// SPDX-License-Identifier: Apache-2.0
#include "emulated_cuda/kernels.h"

#include <map>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/kernels/abi.h"
#include "cuda/kernels/attention_abi.h"
#include "cuda/kernels/layers_abi.h"

// Defined where the kernels' sources are compiled for the emulator (test/cuda/emulated_kernels.cc, emulated_layers.cc).
void sgmv_decode_shrink_f16(const djl_lora::cuda::SgmvParams& params);
void sgmv_decode_expand_f16(const djl_lora::cuda::SgmvParams& params);
void sgmv_decode_fused_f16(const djl_lora::cuda::SgmvParams& params);
void sgmv_tile_shrink_f16(const djl_lora::cuda::SgmvParams& params);
void sgmv_tile_expand_f16(const djl_lora::cuda::SgmvParams& params);
void sgmv_decode_shrink_bf16(const djl_lora::cuda::SgmvParams& params);
void sgmv_decode_expand_bf16(const djl_lora::cuda::SgmvParams& params);
void sgmv_decode_fused_bf16(const djl_lora::cuda::SgmvParams& params);
void sgmv_tile_shrink_bf16(const djl_lora::cuda::SgmvParams& params);
void sgmv_tile_expand_bf16(const djl_lora::cuda::SgmvParams& params);
void layers_decode_rms_norm_f16(const djl_lora::cuda::NormParams& params);
void layers_decode_silu_mul_f16(const djl_lora::cuda::SiluMulParams& params);
void layers_decode_kv_write_f16(const djl_lora::cuda::KvWriteParams& params);
void layers_decode_rms_norm_bf16(const djl_lora::cuda::NormParams& params);
void layers_decode_silu_mul_bf16(const djl_lora::cuda::SiluMulParams& params);
void layers_decode_kv_write_bf16(const djl_lora::cuda::KvWriteParams& params);
void attention_decode_64_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_80_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_96_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_128_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_256_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_combine_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_plain_f16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_64_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_80_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_96_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_128_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_256_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_combine_bf16(const djl_lora::cuda::AttentionParams& params);
void attention_decode_plain_bf16(const djl_lora::cuda::AttentionParams& params);
void layers_decode_argmax_f32(const djl_lora::cuda::ArgmaxParams& params);

namespace djl_lora::emulated {

namespace {

// Runs once for the whole grid, which may be of any size.
void SelfTest(uint32_t* values, uint32_t count, uint32_t seed) {
  for (uint32_t i = 0; i < count; ++i) {
    values[i] = seed * 31 + i;
  }
}

template <typename... Parameters, size_t... I>
auto CopyArguments(void (*)(Parameters...), void** arguments, std::index_sequence<I...>) {
  return std::tuple<std::decay_t<Parameters>...>(*static_cast<const std::decay_t<Parameters>*>(arguments[I])...);
}

template <typename... Parameters>
auto CopyArguments(void (*kernel)(Parameters...), void** arguments) {
  return CopyArguments(kernel, arguments, std::index_sequence_for<Parameters...>());
}

// A kernel of the emulator's, for every thread of the grid.
template <auto kKernel>
Launched OnThreads(void** arguments) {
  return [copies = CopyArguments(kKernel, arguments)](const emulator::Grid& grid, uint64_t seed) {
    emulator::RunGrid(grid, seed, [&] { std::apply(kKernel, copies); });
  };
}

// A function that does at once what the kernel's grid does.
template <auto kFunction>
Launched Once(void** arguments) {
  return [copies = CopyArguments(kFunction, arguments)](const emulator::Grid&, uint64_t) {
    std::apply(kFunction, copies);
  };
}

#define KERNEL(name) \
  { #name, &OnThreads < name> }

const std::map<std::string, Prepare>& Kernels() {
  static const auto* const kernels = new std::map<std::string, Prepare>{
      {"djl_lora_self_test", &Once<SelfTest>},
      KERNEL(sgmv_decode_shrink_f16),
      KERNEL(sgmv_decode_expand_f16),
      KERNEL(sgmv_decode_fused_f16),
      KERNEL(sgmv_tile_shrink_f16),
      KERNEL(sgmv_tile_expand_f16),
      KERNEL(sgmv_decode_shrink_bf16),
      KERNEL(sgmv_decode_expand_bf16),
      KERNEL(sgmv_decode_fused_bf16),
      KERNEL(sgmv_tile_shrink_bf16),
      KERNEL(sgmv_tile_expand_bf16),
      KERNEL(layers_decode_rms_norm_f16),
      KERNEL(layers_decode_silu_mul_f16),
      KERNEL(layers_decode_kv_write_f16),
      KERNEL(layers_decode_rms_norm_bf16),
      KERNEL(layers_decode_silu_mul_bf16),
      KERNEL(layers_decode_kv_write_bf16),
      KERNEL(layers_decode_argmax_f32),
      KERNEL(attention_decode_64_f16),
      KERNEL(attention_decode_80_f16),
      KERNEL(attention_decode_96_f16),
      KERNEL(attention_decode_128_f16),
      KERNEL(attention_decode_256_f16),
      KERNEL(attention_decode_combine_f16),
      KERNEL(attention_decode_plain_f16),
      KERNEL(attention_decode_64_bf16),
      KERNEL(attention_decode_80_bf16),
      KERNEL(attention_decode_96_bf16),
      KERNEL(attention_decode_128_bf16),
      KERNEL(attention_decode_256_bf16),
      KERNEL(attention_decode_combine_bf16),
      KERNEL(attention_decode_plain_bf16),

  };
  return *kernels;
}

}  // namespace

Prepare FindKernel(const std::string& name) {
  const auto found = Kernels().find(name);
  return found == Kernels().end() ? nullptr : found->second;
}

}  // namespace djl_lora::emulated
