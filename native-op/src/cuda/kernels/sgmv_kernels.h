// SPDX-License-Identifier: Apache-2.0
//
// The kernels of SGMV. Sums are float32 and each output is rounded once. The same call gives the same bits each time:
// nothing is added by atomics. The bits of a row depend on its adapters and on which kernels run, not on other rows.
//
//   decode_shrink, decode_expand   few rows a segment, of many segments; a block belongs to one segment
//   decode_fused                   the same in one launch, where blocks can share their memory (Hopper and later)
//   tile_shrink, tile_expand       many rows a segment; a block belongs to kTileRows of them
#ifndef DJL_LORA_CUDA_KERNELS_SGMV_KERNELS_H_
#define DJL_LORA_CUDA_KERNELS_SGMV_KERNELS_H_

#include "expand.h"
#include "fixed_shape.h"
#include "shrink.h"

namespace djl_lora {
namespace cuda {

// Sums in params.partial.
struct StorePartial {
  const SgmvParams& params;
  int row;
  int split;

  DJL_LORA_DEVICE_MEMBER void operator()(const RankTile& tile, int r, int rank, float sum) const {
    const long long matrix =
        static_cast<long long>(split * params.outputs + tile.output) * params.tokens * params.max_rank;
    params.partial[matrix + static_cast<long long>(row + r) * params.max_rank + tile.offset + rank] = sum;
  }
};

DJL_LORA_DEVICE void ReportSegment(const SgmvParams& params, const Segment& segment) {
  if (segment.error != kNoError && ThreadIndex() == 0) {
    Report(params.error, segment.error, segment.number, segment.value);
  }
}

// Which rows of which segment a block takes.
struct Tile {
  int segment;  // or -1: none
  int row;
};

// Segments are cut into tiles of kRows, the last of each as it comes out. Block `number` takes the tile of that number.
// There are at most tokens / kRows + segments of them. Begins to use shared memory, and ends doing so.
template <int kRows>
DJL_LORA_DEVICE Tile FindTile(const SgmvParams& params, int number) {
  int* found = reinterpret_cast<int*>(SharedMemory());
  const int thread = ThreadIndex();
  if (thread == 0) {
    found[0] = -1;
  }
  SyncBlock();
  if (thread < kWarp) {
    int before = 0;
    DJL_LORA_KEEP_LOOP
    for (int base = 0; base < params.segments && before <= number; base += kWarp) {
      int tiles = 0;
      int begin = 0;
      if (base + thread < params.segments) {
        const Segment segment = ReadSegment(params, base + thread);
        begin = segment.begin;
        tiles = (segment.end - segment.begin + kRows - 1) / kRows;
      }
      int sum = tiles;  // of this lane's segment and those of the lanes before it
      for (int distance = 1; distance < kWarp; distance *= 2) {
        const int other = ShuffleUp(sum, distance);
        sum += thread >= distance ? other : 0;
      }
      const int tile = number - before - (sum - tiles);
      if (tile >= 0 && tile < tiles) {
        found[0] = base + thread;
        found[1] = begin + tile * kRows;
      }
      before += Shuffle(sum, kWarp - 1);
    }
  }
  SyncBlock();
  const Tile tile{found[0], found[1]};
  SyncBlock();  // before others write there
  return tile;
}

// What a block of the decode kernels takes: the whole of a segment where there is one row a segment in the mean, and
// else a tile, so that a long segment among short ones is shared by many blocks.
struct DecodeItem {
  int segment;  // or -1: none
  int begin;    // rows
  int end;
};

DJL_LORA_DEVICE DecodeItem FindDecodeItem(const SgmvParams& params, int number, Segment* segment) {
  if (params.tokens <= params.segments) {
    *segment = ReadSegment(params, number);
    return {number, segment->begin, segment->end};
  }
  const Tile tile = FindTile<kDecodeRows>(params, number);
  if (tile.segment < 0) {
    return {-1, 0, 0};
  }
  *segment = ReadSegment(params, tile.segment);
  const int end = tile.row + kDecodeRows;
  return {tile.segment, tile.row, end < segment->end ? end : segment->end};
}

// Whether a segment's ranks in a module, which CheckEntries told, are those of one adapter and of the shape that the
// image was compiled for.
DJL_LORA_DEVICE bool IsFixed(const SgmvParams& params, const Segment& segment, int rank) {
  return rank == kFixedRank && segment.last - segment.first == 1 && HasFixedRows(params);
}

// Grid: segments or their tiles, splits of `in` into kDecodeSplit, outputs.
template <typename T>
DJL_LORA_DEVICE void DecodeShrink(const SgmvParams& params) {
  LetNextBegin();
  Segment segment{};
  const DecodeItem item = FindDecodeItem(params, BlockX(), &segment);
  const int output = BlockZ();
  const int rank = item.segment < 0 ? 0 : CheckEntries(params, output, &segment);
  if (rank == 0) {
    return;
  }
  constexpr int kPart = kDecodeSplit / kDecodeWarps;
  const int k = BlockY() * kDecodeSplit + ThreadIndex() / kWarp * kPart;
  if constexpr (kFixedShape) {
    if (IsFixed(params, segment, rank)) {
      const void* a = FindModule(params, segment.first, output)->a;
      DJL_LORA_KEEP_LOOP
      for (int row = item.begin; row < item.end; row += kDecodeRows) {
        const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
        FixedShrink<T, kFixedRank, kFixedIn, kPart / kStep, kFixedIn % kDecodeSplit == 0, kShrinkLoads>(params, a, row,
                                                                                                        count, k)
            .Run(count, output, reinterpret_cast<float*>(SharedMemory()), StorePartial{params, row, BlockY()}, Wait{});
      }
      return;
    }
  }
  DJL_LORA_KEEP_LOOP
  for (int row = item.begin; row < item.end; row += kDecodeRows) {
    const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
    Shrink<T, 1, kDecodeRankTiles, kDecodeWarps, 4>(params, segment, row, count, k, k + kPart, output, output + 1,
                                                    reinterpret_cast<float*>(SharedMemory()),
                                                    StorePartial{params, row, BlockY()});
  }
}

// Grid: segments or their tiles, outputs by kDecodeOutputs, outputs of the group.
template <typename T>
DJL_LORA_DEVICE void DecodeExpand(const SgmvParams& params) {
  constexpr int kGroups = kDecodeOutputs / kDecodeWarps / kGroup;
  const int output = BlockZ();
  const int first = BlockY() * kDecodeOutputs + ThreadIndex() / kWarp * kGroups * kGroup;
  // A block without work waits as well: what comes after this kernel must come after the one before it, too.
  if (BlockY() * kDecodeOutputs >= params.output[output].out) {
    WaitForPrevious();
    return;
  }
  Segment segment{};
  const DecodeItem item = FindDecodeItem(params, BlockX(), &segment);
  if (item.segment < 0) {
    WaitForPrevious();
    return;
  }
  const int rank = CheckEntries(params, output, &segment);
  ReportSegment(params, segment);
  if constexpr (kFixedShape) {
    if (IsFixed(params, segment, rank)) {
      DJL_LORA_KEEP_LOOP
      for (int row = item.begin; row < item.end; row += kDecodeRows) {
        const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
        ExpandFixed<T, kFixedRank, kFixedIn>(params, segment, output, row, count, first,
                                             reinterpret_cast<float*>(SharedMemory()));
      }
      return;
    }
  }
  DJL_LORA_KEEP_LOOP
  for (int row = item.begin; row < item.end; row += kDecodeRows) {
    const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
    Expand<T, kDecodeRows, 1, kGroups>(params, segment, output, row, count, first, 0, kDecodeThreads,
                                       reinterpret_cast<float*>(SharedMemory()));
  }
}

// Sums of a block in its own shared memory.
struct StoreShared {
  float* sums;  // [rows, pitch]
  int pitch;

  DJL_LORA_DEVICE_MEMBER void operator()(const RankTile& tile, int r, int rank, float sum) const {
    sums[r * pitch + tile.offset + rank] = sum;
  }
};

// What DecodeFused does for a segment whose entry has kRank ranks and a module of kIn inputs.
template <typename T, int kRank, int kIn>
DJL_LORA_DEVICE void FusedFixed(const SgmvParams& params, const Segment& segment, const DecodeItem& item, int output,
                                const DeviceModule* entry) {
  constexpr int kSteps = PartsOf(PartsOf(kIn, kStep), kCluster * kDecodeWarps);  // of a warp
  constexpr bool kWhole = kIn == kCluster * kDecodeWarps * kSteps * kStep;
  constexpr int kColumns = GroupWeights<kRank>::kSteps * kRankStep;
  constexpr int kGroups = GroupWeights<kRank>::kSteps < kFixedWeights ? kFixedWeights / GroupWeights<kRank>::kSteps : 1;
  constexpr int kStride = kDecodeWarps * kGroup;
  const int block = BlockX() % kCluster;
  const int thread = ThreadIndex();
  const int warp = thread / kWarp;
  const int out = params.output[output].out;
  const int part = RoundUp(RoundUp(out, kCluster) / kCluster, kGroup);
  const int first = block * part + warp * kGroup;
  const int last = block * part + part < out ? block * part + part : out;
  const int pitch = RowPitch(params.max_rank);
  float* fragments = reinterpret_cast<float*>(SharedMemory());
  float* own = fragments + kDecodeShrinkShared / 4;
  float* sums = own + kDecodeRows * pitch;
  const void* a = entry->a;
  const void* b = entry->b;
  const float scale = Load(&entry->scale);
  const Finish finish = FinishOf(params, segment, output, entry);
  DJL_LORA_KEEP_LOOP
  for (int row = item.begin; row < item.end; row += kDecodeRows) {
    const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
    GroupWeights<kRank> groups[kGroups];
    FixedShrink<T, kRank, kIn, kSteps, kWhole, kSteps <= 2 ? kShrinkLoads : kFusedLoads>(
        params, a, row, count, (block * kDecodeWarps + warp) * kSteps * kStep)
        .Run(count, output, fragments, StoreShared{own, pitch},
             LoadGroups<kRank, kGroups>{groups, b, first, last, kStride});
    ArriveAtCluster();
    WaitForCluster();
    DJL_LORA_UNROLL
    for (int place = thread; place < kDecodeRows * kColumns; place += kDecodeThreads) {
      const int r = place / kColumns;
      const int c = place % kColumns;
      float sum = 0.0f;
      if (r < count && c < kRank) {
        DJL_LORA_UNROLL
        for (int other = 0; other < kCluster; ++other) {
          sum += LoadFromBlock(own + r * pitch + c, other);
        }
      }
      sums[r * pitch + c] = sum * scale;
    }
    SyncBlock();
    ArriveAtCluster();  // has read the others' sums
    DJL_LORA_KEEP_LOOP
    for (int base = first; base < last; base += kGroups * kStride) {
      DJL_LORA_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        const int o = base + g * kStride;
        if (o < last) {
          const GroupWeights<kRank> weights = groups[g];
          groups[g].Load(b, last, o + kGroups * kStride);
          WriteGroup<T>(params, output, row, count, o, finish, sums, pitch, weights);
        }
      }
    }
    WaitForCluster();  // before its sums are written over, or the block ends and they are gone
  }
}

// Grid: kCluster blocks for each segment or tile, outputs of the group. A cluster computes the sums of one item, each
// block for its part of `in`; then each block adds up the parts of all and computes its part of the outputs. Segments
// have one entry at most.
template <typename T>
DJL_LORA_DEVICE void DecodeFused(const SgmvParams& params) {
  const int output = BlockY();
  const int block = BlockX() % kCluster;
  const int thread = ThreadIndex();
  const int warp = thread / kWarp;
  const int out = params.output[output].out;
  Segment segment{};
  const DecodeItem item = FindDecodeItem(params, BlockX() / kCluster, &segment);
  if (item.segment < 0) {
    return;  // as all blocks of the cluster do, here and below
  }
  const int rank = CheckEntries(params, output, &segment);
  if (block == 0) {
    ReportSegment(params, segment);
  }
  const DeviceModule* entry = segment.first < segment.last ? FindModule(params, segment.first, output) : nullptr;
  if (item.begin == item.end || (rank == 0 && FinishOf(params, segment, output, entry).Nothing())) {
    return;
  }
  if constexpr (kFixedShape) {
    if (IsFixed(params, segment, rank)) {
      FusedFixed<T, kFixedRank, kFixedIn>(params, segment, item, output, entry);
      return;
    }
  }
  const void* b = entry != nullptr ? entry->b : nullptr;
  const int b_pitch = RoundUp(rank, kRankUnit);

  constexpr int kGroups = 1;
  constexpr int kStride = kDecodeWarps * kGroups * kGroup;
  const int part = RoundUp(RoundUp(out, kCluster) / kCluster, kGroup);
  const int first = block * part;
  const int last = first + part < out ? first + part : out;
  const int pitch = RowPitch(params.max_rank);
  float* fragments = reinterpret_cast<float*>(SharedMemory());
  float* own = fragments + kDecodeShrinkShared / 4;
  float* sums = own + kDecodeRows * pitch;
  const int steps = RoundUp(params.in, kStep) / kStep;
  const int warp_steps = (steps + kCluster * kDecodeWarps - 1) / (kCluster * kDecodeWarps);
  const int k = (block * kDecodeWarps + warp) * warp_steps * kStep;
  const int columns = RoundUp(rank, kRankStep);

  DJL_LORA_KEEP_LOOP
  for (int row = item.begin; row < item.end; row += kDecodeRows) {
    const int count = item.end - row < kDecodeRows ? item.end - row : kDecodeRows;
    WeightFragment next[kGroups] = {};
    if (rank > 0) {
      // B is on its way while the sums of A x are made and exchanged.
      DJL_LORA_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        next[group] = LoadWeights(b, b_pitch, last, first + (warp * kGroups + group) * kGroup, 0);
      }
      Shrink<T, 1, kDecodeRankTiles, kDecodeWarps, 2>(params, segment, row, count, k, k + warp_steps * kStep, output,
                                                      output + 1, fragments, StoreShared{own, pitch});
      ArriveAtCluster();
      WaitForCluster();
      const float scale = Load(&entry->scale);
      DJL_LORA_KEEP_LOOP
      for (int place = thread; place < kDecodeRows * columns; place += kDecodeThreads) {
        const int r = place / columns;
        const int c = place % columns;
        float sum = 0.0f;
        if (r < count && c < rank) {
          DJL_LORA_UNROLL
          for (int other = 0; other < kCluster; ++other) {
            sum += LoadFromBlock(own + r * pitch + c, other);
          }
        }
        sums[r * pitch + c] = sum * scale;
      }
      SyncBlock();
      ArriveAtCluster();  // has read the others' sums
    }
    DJL_LORA_KEEP_LOOP
    for (int o = first + warp * kGroups * kGroup; o < last; o += kStride) {
      OutputSums<1> outputs[kGroups] = {};
      DJL_LORA_KEEP_LOOP
      for (int c = 0; c < columns; c += kRankStep) {
        WeightFragment weights[kGroups];
        const bool more = c + kRankStep < columns;
        DJL_LORA_UNROLL
        for (int group = 0; group < kGroups; ++group) {
          weights[group] = next[group];
          next[group] =
              LoadWeights(b, b_pitch, last, (more ? o : o + kStride) + group * kGroup, more ? c + kRankStep : 0);
        }
        MultiplyRanks<T, 1, kGroups>(sums + c, pitch, weights, outputs);
      }
      DJL_LORA_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        if (o + group * kGroup < last) {
          WriteOutputs<T, 1>(params, output, row, count, o + group * kGroup, FinishOf(params, segment, output, entry),
                             outputs[group]);
        }
      }
    }
    if (rank > 0) {
      WaitForCluster();  // before its sums are written over, or the block ends and they are gone
    }
  }
}

// Grid: tiles, splits of `in` into kTileSplit.
template <typename T>
DJL_LORA_DEVICE void TileShrink(const SgmvParams& params) {
  LetNextBegin();
  const Tile item = FindTile<kTileRows>(params, BlockX());
  if (item.segment < 0) {
    return;
  }
  Segment segment = ReadSegment(params, item.segment);
  CheckEntries(params, 0, &segment);
  constexpr int kPart = kTileSplit / kTileWarps;
  const int k = BlockY() * kTileSplit + ThreadIndex() / kWarp * kPart;
  const int count = segment.end - item.row < kTileRows ? segment.end - item.row : kTileRows;
  Shrink<T, kTileRows / 16, kTileRankTiles, kTileWarps, 1>(params, segment, item.row, count, k, k + kPart, 0,
                                                           params.outputs, reinterpret_cast<float*>(SharedMemory()),
                                                           StorePartial{params, item.row, BlockY()});
}

// Grid: tiles, outputs by kTileOutputs, outputs of the group.
template <typename T>
DJL_LORA_DEVICE void TileExpand(const SgmvParams& params) {
  const int output = BlockZ();
  if (BlockY() * kTileOutputs >= params.output[output].out) {
    WaitForPrevious();  // as blocks of DecodeExpand do
    return;
  }
  const Tile item = FindTile<kTileRows>(params, BlockX());
  if (item.segment < 0) {
    WaitForPrevious();
    return;
  }
  Segment segment = ReadSegment(params, item.segment);
  CheckEntries(params, output, &segment);
  ReportSegment(params, segment);
  const int count = segment.end - item.row < kTileRows ? segment.end - item.row : kTileRows;
  // Half of the warps take the first half of the rows.
  constexpr int kHalf = kTileOutputs / kGroup;
  const int warp = ThreadIndex() / kWarp;
  Expand<T, kTileRows, kTileRows / 32, 1>(params, segment, output, item.row, count,
                                          BlockY() * kTileOutputs + warp % kHalf * kGroup, warp / kHalf * kTileRows / 2,
                                          kTileExpandThreads, reinterpret_cast<float*>(SharedMemory()));
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_SGMV_KERNELS_H_
