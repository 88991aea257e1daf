// SPDX-License-Identifier: Apache-2.0
#include "cuda/layer_launches.h"

#include <algorithm>

namespace djl_lora::cuda {

namespace {

constexpr long long Parts(long long whole, long long part) { return (whole + part - 1) / part; }

unsigned Unsigned(long long value) { return static_cast<unsigned>(value); }

}  // namespace

int NormRowThreads(int size) {
  return size <= kWarpNormSize ? kWarp : std::min(kMaxNormThreads, RoundUp((size + kVector - 1) / kVector, kWarp));
}

int ArgmaxParts(int columns) { return static_cast<int>(Parts(columns, kArgmaxPart)); }

LayerLaunch LaunchOf(NormParams params) {
  params.row_threads = NormRowThreads(params.size);
  const bool one_warp = params.row_threads == kWarp;
  return {LayerKernel::kRmsNorm,
          {Unsigned(one_warp ? Parts(params.rows, kNormWarps) : params.rows), 1, 1},
          Unsigned(one_warp ? kNormWarps * kWarp : params.row_threads),
          kNormShared,
          false,
          params};
}

LayerLaunch LaunchOf(const SiluMulParams& params) {
  return {LayerKernel::kSiluMul,
          {Unsigned(Parts(params.count, kSiluMulThreads * kVector)), 1, 1},
          kSiluMulThreads,
          0,
          false,
          params};
}

LayerLaunch LaunchOf(const ArgmaxParams& params) {
  return {LayerKernel::kArgmax,
          {Unsigned(params.parts), Unsigned(std::min<long long>(params.rows, kMaxGridY)), 1},
          kArgmaxThreads,
          kArgmaxShared,
          false,
          params};
}

LayerLaunch LaunchOf(const KvWriteParams& params) {
  const int heads = params.kv_heads + (params.q == nullptr ? 0 : params.heads);
  return {LayerKernel::kKvWrite,
          {Unsigned(Parts(params.tokens, kKvWriteTokens)), Unsigned(heads), 1},
          kKvWriteThreads,
          Unsigned(KvWriteShared(params.dim)),
          false,
          params};
}

}  // namespace djl_lora::cuda
