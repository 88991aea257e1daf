// SPDX-License-Identifier: Apache-2.0
//
// How the kernels of a transformer's layers are launched: over which grids, by sizes that the host knows.
#ifndef DJL_LORA_CUDA_LAYER_LAUNCHES_H_
#define DJL_LORA_CUDA_LAYER_LAUNCHES_H_

#include <variant>

#include "cuda/kernels/layers_abi.h"

namespace djl_lora::cuda {

enum class LayerKernel { kRmsNorm, kSiluMul, kArgmax, kKvWrite };

using LayerParams = std::variant<NormParams, SiluMulParams, ArgmaxParams, KvWriteParams>;

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

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_CUDA_LAYER_LAUNCHES_H_
