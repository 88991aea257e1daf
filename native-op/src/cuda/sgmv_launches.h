// SPDX-License-Identifier: Apache-2.0
//
// Which of the kernels of SGMV run for a call, and over which grids.
#ifndef DJL_LORA_CUDA_SGMV_LAUNCHES_H_
#define DJL_LORA_CUDA_SGMV_LAUNCHES_H_

#include <cstdint>
#include <vector>

#include "cuda/kernels/abi.h"

namespace djl_lora::cuda {

enum class SgmvKernel { kDecodeShrink, kDecodeExpand, kDecodeFused, kTileShrink, kTileExpand };

struct KernelLaunch {
  SgmvKernel kernel;
  unsigned grid[3];
  unsigned threads;
  unsigned cluster;  // blocks of a cluster along the first axis
  unsigned shared_bytes;
  bool overlaps;  // may begin before the launch in front of it has ended (programmatic dependent launch)
};

enum class SgmvPath {
  kFused,   // one launch, for segments of few rows that stack nothing, on devices with clusters
  kDecode,  // two launches, for segments of few rows
  kTiles,   // two launches, for segments of many rows
};

// The fused path keeps all sums of 16 rows in shared memory.
constexpr int kMaxFusedRank = 256;

// The plan lies on the device, so the path is chosen by its size: by the mean number of rows of a segment.
SgmvPath ChoosePath(const SgmvParams& params, bool clusters);

// Into how many parts `in` is cut, whose sums are kept apart in SgmvParams::partial.
int Splits(SgmvPath path, int in);

// Floats of SgmvParams::partial.
int64_t PartialSize(SgmvPath path, const SgmvParams& params);

// The launches of a call, in order. params.splits must be Splits().
std::vector<KernelLaunch> Launches(SgmvPath path, const SgmvParams& params);

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_CUDA_SGMV_LAUNCHES_H_
