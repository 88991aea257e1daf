// SPDX-License-Identifier: Apache-2.0
//
// The first half of SGMV, A x, on tensor cores. A warp multiplies tiles of 16 rows of x with tiles of 8 rows of A. Both
// lie with their features one after the other, which is how a fragment wants them but for the order of its features:
// lane t of four is to hold the features 2t, 2t + 1, 2t + 8 and 2t + 9 of 16. As the order does not matter to a sum,
// each lane takes 8 features in a row of 32 instead, one load of 16 bytes, for x and A alike, and no shared memory is
// needed.
#ifndef DJL_LORA_CUDA_KERNELS_SHRINK_H_
#define DJL_LORA_CUDA_KERNELS_SHRINK_H_

#include "plan.h"

namespace djl_lora {
namespace cuda {

constexpr int kStep = 32;  // features of one load of a warp

// Where a lane finds its rows of x: rows first + 8 · i for i < count.
struct FeatureRows {
  const unsigned short* first;
  long long distance;  // elements between them
  int count;
  int in;
  bool aligned;
};

DJL_LORA_DEVICE Vec16 LoadFeatures(const FeatureRows& rows, int row, int k) {
  Vec16 value{};
  if (row >= rows.count || k >= rows.in) {
    return value;
  }
  const unsigned short* address = rows.first + row * rows.distance + k;
  if (rows.aligned) {
    return Load16(address);
  }
  DJL_LORA_UNROLL
  for (int pair = 0; pair < 4; ++pair) {
    const int left = rows.in - k - 2 * pair;
    const unsigned low = left > 0 ? Load(address + 2 * pair) : 0;
    const unsigned high = left > 1 ? Load(address + 2 * pair + 1) : 0;
    value.v[pair] = low | high << 16;
  }
  return value;
}

// 8 ranks of one entry's module.
struct RankTile {
  const unsigned short* row;  // the lane's row of A, or null
  int ranks;                  // how many of the 8 there are
  int output;
  int offset;  // of the first rank in the sums of the rows
};

// Goes through the ranks of a segment's entries, over one output or several.
struct RankCursor {
  int output;
  int entry;
  int rank;    // of the entry
  int offset;  // ranks of the output's entries before it

  DJL_LORA_DEVICE_MEMBER RankTile Take(const SgmvParams& params, const Segment& segment, int last_output, int lane_row,
                                       int pitch) {
    DJL_LORA_KEEP_LOOP
    while (output < last_output) {
      DJL_LORA_KEEP_LOOP
      for (; entry < segment.last; ++entry, rank = 0) {
        const DeviceModule* module = FindModule(params, entry, output);
        const int ranks = Load(&module->rank);
        if (rank < ranks) {
          const int row = rank + lane_row;
          RankTile tile;
          tile.row = row < ranks ? static_cast<const unsigned short*>(module->a) + static_cast<long long>(row) * pitch
                                 : nullptr;
          tile.ranks = ranks - rank < 8 ? ranks - rank : 8;
          tile.output = output;
          tile.offset = offset;
          rank += 8;
          offset += tile.ranks;
          return tile;
        }
      }
      ++output;
      entry = segment.first;
      rank = 0;
      offset = 0;
    }
    return {nullptr, 0, output, 0};
  }
};

// sums += x Aᵀ over the features [k, k_end), of which k is a multiple of kStep; row tiles of 16 times rank tiles of 8.
// kUnroll: how many loads of a lane are under way at once.
template <typename T, int kUnroll, int kRowTiles, int kRankTiles>
DJL_LORA_DEVICE void MultiplyFeatures(const FeatureRows& rows, const RankTile (&tiles)[kRankTiles], int k, int k_end,
                                      float (&sums)[kRowTiles][kRankTiles][4]) {
  const int lane_k = ThreadIndex() % 4 * 8;
  DJL_LORA_UNROLL_BY(kUnroll)
  for (k += lane_k; k < k_end; k += kStep) {
    Vec16 a[kRankTiles];
    DJL_LORA_UNROLL
    for (int j = 0; j < kRankTiles; ++j) {
      a[j] = tiles[j].row != nullptr && k < rows.in ? LoadWeights16(tiles[j].row + k) : Vec16{};
    }
    DJL_LORA_UNROLL
    for (int i = 0; i < kRowTiles; ++i) {
      const Vec16 x0 = LoadFeatures(rows, 2 * i, k);
      const Vec16 x1 = LoadFeatures(rows, 2 * i + 1, k);
      DJL_LORA_UNROLL
      for (int j = 0; j < kRankTiles; ++j) {
        Multiply<T>(sums[i][j], x0.v[0], x1.v[0], x0.v[1], x1.v[1], a[j].v[0], a[j].v[1]);
        Multiply<T>(sums[i][j], x0.v[2], x1.v[2], x0.v[3], x1.v[3], a[j].v[2], a[j].v[3]);
      }
    }
  }
}

// Rows [row, row + count) of x.
template <int kRowTiles>
DJL_LORA_DEVICE FeatureRows LaneRows(const SgmvParams& params, int row, int count) {
  const int lane_row = ThreadIndex() % kWarp / 4;
  const unsigned short* x = static_cast<const unsigned short*>(params.x);
  FeatureRows rows;
  rows.first = x + (row + lane_row) * params.x_stride;
  rows.distance = 8 * params.x_stride;
  rows.count = (count - lane_row + 7) / 8;
  rows.in = params.in;
  rows.aligned = Aligned16(x) && params.x_stride % 8 == 0 && params.in % 8 == 0;
  return rows;
}

// Writes a warp's sums to its part of shared memory, [rows, ranks].
template <int kRowTiles, int kRankTiles>
DJL_LORA_DEVICE void StoreFragments(const float (&sums)[kRowTiles][kRankTiles][4], float* target) {
  const int lane = ThreadIndex() % kWarp;
  const int pitch = FragmentPitch(8 * kRankTiles);
  DJL_LORA_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    DJL_LORA_UNROLL
    for (int j = 0; j < kRankTiles; ++j) {
      DJL_LORA_UNROLL
      for (int half = 0; half < 2; ++half) {
        float* place = target + (16 * i + 8 * half + lane / 4) * pitch + 8 * j + lane % 4 * 2;
        place[0] = sums[i][j][2 * half];
        place[1] = sums[i][j][2 * half + 1];
      }
    }
  }
}

// The sums over the features [k, k_end) of rows [row, row + count) of a segment, for the outputs
// [first_output, last_output), to wherever `store(tile, row, rank, sum)` puts them. Warps take the parts of the
// features one after the other, and their sums are added in that order. `shared`: kWarps matrices of fragments.
template <typename T, int kRowTiles, int kRankTiles, int kWarps, int kUnroll, typename Store>
DJL_LORA_DEVICE void Shrink(const SgmvParams& params, const Segment& segment, int row, int count, int warp_k,
                            int warp_k_end, int first_output, int last_output, float* shared, const Store& store) {
  const int thread = ThreadIndex();
  const int pitch = RoundUp(params.in, kFeatureUnit);
  const int matrix = 16 * kRowTiles * FragmentPitch(8 * kRankTiles);
  const FeatureRows rows = LaneRows<kRowTiles>(params, row, count);
  RankCursor cursor{first_output, segment.first, 0, 0};
  DJL_LORA_KEEP_LOOP
  while (true) {
    RankTile tiles[kRankTiles];
    DJL_LORA_UNROLL
    for (int j = 0; j < kRankTiles; ++j) {
      tiles[j] = cursor.Take(params, segment, last_output, thread % kWarp / 4, pitch);
    }
    if (tiles[0].ranks == 0) {
      break;
    }
    float sums[kRowTiles][kRankTiles][4] = {};
    MultiplyFeatures<T, kUnroll>(rows, tiles, warp_k, warp_k_end, sums);
    StoreFragments(sums, shared + thread / kWarp * matrix);
    SyncBlock();
    DJL_LORA_UNROLL
    for (int j = 0; j < kRankTiles; ++j) {
      DJL_LORA_KEEP_LOOP
      for (int place = thread; place < 8 * count; place += kWarps * kWarp) {
        const int r = place % 8;
        if (r < tiles[j].ranks) {
          float sum = 0.0f;
          DJL_LORA_UNROLL
          for (int warp = 0; warp < kWarps; ++warp) {
            sum += shared[warp * matrix + place / 8 * FragmentPitch(8 * kRankTiles) + 8 * j + r];
          }
          store(tiles[j], place / 8, r, sum);
        }
      }
    }
    SyncBlock();  // before the next pass writes over the sums
  }
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_SHRINK_H_
