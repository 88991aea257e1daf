// SPDX-License-Identifier: Apache-2.0
//
// How the kernels of a transformer's layers are launched: over which grids, by sizes that the host knows.
#ifndef DJL_LORA_CUDA_LAYER_LAUNCHES_H_
#define DJL_LORA_CUDA_LAYER_LAUNCHES_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "cuda/kernels/attention_abi.h"
#include "cuda/kernels/layers_abi.h"

namespace djl_lora::cuda {

enum class LayerKernel {
  kRmsNorm,
  kSiluMul,
  kArgmax,
  kKvWrite,
  kAttention64,  // by the size of a head
  kAttention80,
  kAttention96,
  kAttention128,
  kAttention256,
  kAttentionCombine,
  kAttentionPlain,
};
constexpr int kLayerKernels = 11;

using LayerParams = std::variant<NormParams, SiluMulParams, ArgmaxParams, KvWriteParams, AttentionParams>;

struct LayerLaunch {
  LayerKernel kernel;
  unsigned grid[3];
  unsigned threads;
  unsigned shared_bytes;
  bool overlaps;  // may begin before the launch in front of it has ended (programmatic dependent launch)
  LayerParams params;
};

// Threads that share a row of that size.
int NormRowThreads(int size);

// None of what they work on may be empty. params.row_threads is set here.
LayerLaunch LaunchOf(NormParams params);
LayerLaunch LaunchOf(const SiluMulParams& params);
LayerLaunch LaunchOf(const ArgmaxParams& params);
LayerLaunch LaunchOf(const KvWriteParams& params);

// Parts of a row of that many columns.
int ArgmaxParts(int columns);

// How attention is divided among blocks, by the sizes that are there already: sets what the kernels need to know of it.
// heads: of the queries.
void Divide(int heads, int kv_heads, AttentionParams* params);

// Floats of AttentionParams::partial, once it is divided; 0 where no sequence can be long enough.
int64_t PartialSize(const AttentionParams& params);

// The launches of a call that was divided, in order; params.tokens must not be 0. Without `partial` no sequence is
// shared.
std::vector<LayerLaunch> Launches(const AttentionParams& params);

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_CUDA_LAYER_LAUNCHES_H_
