// SPDX-License-Identifier: Apache-2.0
#include "cuda/sgmv_launches.h"

#include <algorithm>

namespace djl_lora::cuda {

namespace {

// From this mean number of rows on a segment's weights are worth more than one use, and blocks take tiles.
constexpr int64_t kTileMean = 16;

constexpr int Parts(int whole, int part) { return (whole + part - 1) / part; }

unsigned Unsigned(int value) { return static_cast<unsigned>(value); }

int WidestOutput(const SgmvParams& params) {
  int widest = 0;
  for (int i = 0; i < params.outputs; ++i) {
    widest = std::max(widest, params.output[i].out);
  }
  return widest;
}

}  // namespace

SgmvPath ChoosePath(const SgmvParams& params, bool clusters) {
  if (params.tokens >= kTileMean * params.segments) {
    return SgmvPath::kTiles;
  }
  return clusters && params.entry_starts == nullptr && params.max_rank <= kMaxFusedRank ? SgmvPath::kFused
                                                                                        : SgmvPath::kDecode;
}

int Splits(SgmvPath path, int in) {
  switch (path) {
    case SgmvPath::kDecode:
      return Parts(in, kDecodeSplit);
    case SgmvPath::kTiles:
      return Parts(in, kTileSplit);
    case SgmvPath::kFused:
      break;
  }
  return 0;
}

int64_t PartialSize(SgmvPath path, const SgmvParams& params) {
  return int64_t{Splits(path, params.in)} * params.outputs * params.tokens * params.max_rank;
}

std::vector<KernelLaunch> Launches(SgmvPath path, const SgmvParams& params) {
  // at most, in tiles of that many rows
  const auto tiles = [&](int rows) { return Unsigned(params.tokens / rows + params.segments); };
  const unsigned items = params.tokens <= params.segments ? Unsigned(params.segments) : tiles(kDecodeRows);
  const unsigned outputs = Unsigned(params.outputs);
  const unsigned splits = Unsigned(params.splits);
  const int widest = WidestOutput(params);
  switch (path) {
    case SgmvPath::kFused:
      return {{SgmvKernel::kDecodeFused,
               {items * kCluster, outputs, 1},
               kDecodeThreads,
               kCluster,
               Unsigned(FusedShared(params.max_rank)),
               false}};
    case SgmvPath::kDecode:
      return {{SgmvKernel::kDecodeShrink,
               {items, splits, outputs},
               kDecodeThreads,
               1,
               Unsigned(kDecodeShrinkShared),
               false},
              {SgmvKernel::kDecodeExpand,
               {items, Unsigned(Parts(widest, kDecodeOutputs)), outputs},
               kDecodeThreads,
               1,
               Unsigned(kDecodeExpandShared),
               true}};
    case SgmvPath::kTiles:
      break;
  }
  return {{SgmvKernel::kTileShrink, {tiles(kTileRows), splits, 1}, kTileThreads, 1, Unsigned(kTileShrinkShared), false},
          {SgmvKernel::kTileExpand,
           {tiles(kTileRows), Unsigned(Parts(widest, kTileOutputs)), outputs},
           kTileExpandThreads,
           1,
           Unsigned(kTileExpandShared),
           true}};
}

}  // namespace djl_lora::cuda
