// SPDX-License-Identifier: Apache-2.0
//
// The second half of SGMV, y = out_scale ⊙ (y + Σ weight · scale · B h) + bias, on tensor cores. A warp computes tiles
// of 16 rows and 32 outputs. h stays float32: B's elements are exact in tf32, and h goes in as the sum of two tf32
// numbers, which keep 22 bits of it. Ranks are taken in an order that lets a lane load four of them at once, and
// outputs in one that leaves a lane eight neighbours of a row, so that y is read and written 16 bytes at a time.
#ifndef DJL_LORA_CUDA_KERNELS_EXPAND_H_
#define DJL_LORA_CUDA_KERNELS_EXPAND_H_

#include "plan.h"

namespace djl_lora {
namespace cuda {

constexpr int kGroup = 32;     // outputs that a warp computes side by side, in four tiles of 8
constexpr int kRankStep = 16;  // ranks of one load of a warp

// The four tiles' parts of B for kRankStep ranks.
struct WeightFragment {
  Vec8 tile[4];
};

// Of B, [out, pitch], the rows [output, output + kGroup) and the ranks [rank, rank + kRankStep); zeros where there are
// none.
DJL_LORA_DEVICE WeightFragment LoadWeights(const void* weights, int pitch, int out, int output, int rank) {
  const int lane = ThreadIndex() % kWarp;
  const int column = lane / 4;
  const int r = rank + lane % 4 * 4;
  const unsigned short* b = static_cast<const unsigned short*>(weights);
  WeightFragment fragment;
  DJL_LORA_UNROLL
  for (int j = 0; j < 4; ++j) {
    const int row = output + column / 2 * 8 + 2 * j + column % 2;
    fragment.tile[j] = row < out && r < pitch ? LoadWeights8(b + static_cast<long long>(row) * pitch + r) : Vec8{};
  }
  return fragment;
}

template <int kRowTiles>
using OutputSums = float[kRowTiles][4][4];

// h of 16 rows and kRankStep ranks as a lane holds it: row lane / 4 and the one 8 below, four ranks each.
struct RankFragment {
  float low[4];
  float high[4];
};

DJL_LORA_DEVICE RankFragment ReadRanks(const float* sums, int pitch) {
  const int lane = ThreadIndex() % kWarp;
  const float* place = sums + lane / 4 * pitch + lane % 4 * 4;
  const Floats4 low = *reinterpret_cast<const Floats4*>(place);
  const Floats4 high = *reinterpret_cast<const Floats4*>(place + 8 * pitch);
  RankFragment fragment;
  DJL_LORA_UNROLL
  for (int e = 0; e < 4; ++e) {
    fragment.low[e] = low.v[e];
    fragment.high[e] = high.v[e];
  }
  return fragment;
}

// sums += h Bᵀ for kRankStep ranks. h: [rows, pitch] in shared memory, from its first rank of these on.
template <typename T, int kRowTiles, int kGroups>
DJL_LORA_DEVICE void MultiplyRanks(const float* h, int pitch, const WeightFragment (&weights)[kGroups],
                                   OutputSums<kRowTiles> (&sums)[kGroups]) {
  DJL_LORA_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    const RankFragment ranks = ReadRanks(h + 16 * i * pitch, pitch);
    DJL_LORA_UNROLL
    for (int pair = 0; pair < 2; ++pair) {
      unsigned head[4];
      unsigned tail[4];
      DJL_LORA_UNROLL
      for (int e = 0; e < 4; ++e) {
        const float value = e % 2 == 0 ? ranks.low[2 * pair + e / 2] : ranks.high[2 * pair + e / 2];
        head[e] = RoundToTf32(value);
        tail[e] = RoundToTf32(value - BitsToFloat(head[e]));
      }
      DJL_LORA_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        DJL_LORA_UNROLL
        for (int j = 0; j < 4; ++j) {
          const unsigned two = weights[group].tile[j].v[pair];
          const unsigned b0 = FloatToBits(Widen<T>(static_cast<unsigned short>(two & 0xffff)));
          const unsigned b1 = FloatToBits(Widen<T>(static_cast<unsigned short>(two >> 16)));
          MultiplyTf32(sums[group][i][j], head[0], head[1], head[2], head[3], b0, b1);
          MultiplyTf32(sums[group][i][j], tail[0], tail[1], tail[2], tail[3], b0, b1);
        }
      }
    }
  }
}

// Eight numbers of a vector of 16-bit elements from `first` on, widened; zeros from `count` on.
template <typename T>
DJL_LORA_DEVICE void ReadEight(const void* vector, int first, int count, float (&values)[8]) {
  const unsigned short* address = static_cast<const unsigned short*>(vector) + first;
  if (first + 8 <= count && Aligned16(address)) {
    const Vec16 all = LoadWritten16(address);
    DJL_LORA_UNROLL
    for (int e = 0; e < 8; ++e) {
      values[e] = Widen<T>(static_cast<unsigned short>(e % 2 == 0 ? all.v[e / 2] & 0xffff : all.v[e / 2] >> 16));
    }
    return;
  }
  DJL_LORA_UNROLL
  for (int e = 0; e < 8; ++e) {
    values[e] = first + e < count ? Widen<T>(address[e]) : 0.0f;
  }
}

template <typename T>
DJL_LORA_DEVICE void WriteEight(void* vector, int first, int count, const float (&values)[8]) {
  unsigned short* address = static_cast<unsigned short*>(vector) + first;
  Vec16 all;
  DJL_LORA_UNROLL
  for (int pair = 0; pair < 4; ++pair) {
    all.v[pair] = RoundPair<T>(values[2 * pair], values[2 * pair + 1]);
  }
  if (first + 8 <= count && Aligned16(address)) {
    Store16(address, all);
    return;
  }
  DJL_LORA_UNROLL
  for (int e = 0; e < 8; ++e) {
    if (first + e < count) {
      address[e] = static_cast<unsigned short>(e % 2 == 0 ? all.v[e / 2] & 0xffff : all.v[e / 2] >> 16);
    }
  }
}

// What happens to an output besides the adapters' sums.
struct Finish {
  const void* out_scale;  // or null
  const void* bias;       // or null
  bool fail;              // give NaN

  DJL_LORA_DEVICE_MEMBER bool Nothing() const { return out_scale == nullptr && bias == nullptr && !fail; }
};

// `module`: that of the segment's one entry; null for base rows and stacks.
DJL_LORA_DEVICE Finish FinishOf(const SgmvParams& params, const Segment& segment, int output,
                                const DeviceModule* module) {
  Finish finish{nullptr, params.output[output].bias, segment.error != kNoError};
  if (module != nullptr) {
    finish.out_scale = module->out_scale;
    finish.bias = module->bias != nullptr ? module->bias : finish.bias;
  }
  return finish;
}

// Writes the rows [row, row + count) of the outputs [first, first + kGroup) that a warp has computed.
template <typename T, int kRowTiles>
DJL_LORA_DEVICE void WriteOutputs(const SgmvParams& params, int output, int row, int count, int first,
                                  const Finish& finish, const OutputSums<kRowTiles>& sums) {
  const DeviceOutput& target = params.output[output];
  const int lane = ThreadIndex() % kWarp;
  const int o = first + lane % 4 * 8;
  if (o >= target.out) {
    return;
  }
  DJL_LORA_UNROLL
  for (int i = 0; i < 2 * kRowTiles; ++i) {
    const int r = 8 * i + lane / 4;
    if (r < count) {
      unsigned short* y = static_cast<unsigned short*>(target.y) + (row + r) * target.y_stride;
      float values[8];
      ReadEight<T>(y, o, target.out, values);
      DJL_LORA_UNROLL
      for (int e = 0; e < 8; ++e) {
        values[e] += sums[i / 2][e / 2][i % 2 * 2 + e % 2];
      }
      float factors[8];
      if (finish.out_scale != nullptr) {
        ReadEight<T>(finish.out_scale, o, target.out, factors);
        DJL_LORA_UNROLL
        for (int e = 0; e < 8; ++e) {
          values[e] *= factors[e];
        }
      }
      if (finish.bias != nullptr) {
        ReadEight<T>(finish.bias, o, target.out, factors);
        DJL_LORA_UNROLL
        for (int e = 0; e < 8; ++e) {
          values[e] += factors[e];
        }
      }
      if (finish.fail) {
        DJL_LORA_UNROLL
        for (int e = 0; e < 8; ++e) {
          values[e] = BitsToFloat(0x7fc00000u);
        }
      }
      WriteEight<T>(y, o, target.out, values);
    }
  }
}

// A warp's part of what a block of `threads` computes for rows [row, row + count) of a segment, whose sums lie in
// params.partial: the outputs [first, first + kGroups · kGroup) of the rows from row + `warp_row` on. All warps take
// part in reading the sums of the kBlockRows rows. `shared`: rows of kRankChunk sums.
template <typename T, int kBlockRows, int kRowTiles, int kGroups>
DJL_LORA_DEVICE void Expand(const SgmvParams& params, const Segment& segment, int output, int row, int count, int first,
                            int warp_row, int threads, float* shared) {
  constexpr int kPitch = RowPitch(kRankChunk);
  const int out = params.output[output].out;
  OutputSums<kRowTiles> sums[kGroups] = {};
  const DeviceModule* module = nullptr;
  int offset = 0;
  DJL_LORA_KEEP_LOOP
  for (int entry = segment.first; entry < segment.last; ++entry) {
    module = FindModule(params, entry, output);
    const void* b = module->b;
    const int rank = Load(&module->rank);
    const int pitch = RoundUp(rank, kRankUnit);
    WeightFragment next[kGroups];
    DJL_LORA_UNROLL
    for (int group = 0; group < kGroups; ++group) {
      next[group] = LoadWeights(b, pitch, out, first + group * kGroup, 0);
    }
    WaitForPrevious();
    const float factor =
        Load(&module->scale) * (params.entry_weights == nullptr ? 1.0f : Load(params.entry_weights + entry));
    DJL_LORA_KEEP_LOOP
    for (int chunk = 0; chunk < rank; chunk += kRankChunk) {
      const int ranks = rank - chunk < kRankChunk ? rank - chunk : kRankChunk;
      const int columns = RoundUp(ranks, kRankStep);
      SyncBlock();  // before what others still read is written over
      DJL_LORA_KEEP_LOOP
      for (int place = ThreadIndex(); place < kBlockRows * columns; place += threads) {
        const int r = place / columns;
        const int c = place % columns;
        float sum = 0.0f;
        if (r < count && c < ranks) {
          const long long matrix = static_cast<long long>(params.tokens) * params.max_rank;
          const float* part =
              params.partial + output * matrix + static_cast<long long>(row + r) * params.max_rank + offset + chunk + c;
          DJL_LORA_KEEP_LOOP
          for (int split = 0; split < params.splits; ++split) {
            sum += LoadWrittenFloat(part + split * params.outputs * matrix);
          }
        }
        shared[r * kPitch + c] = sum * factor;
      }
      SyncBlock();
      DJL_LORA_KEEP_LOOP
      for (int c = 0; c < columns; c += kRankStep) {
        WeightFragment weights[kGroups];
        DJL_LORA_UNROLL
        for (int group = 0; group < kGroups; ++group) {
          weights[group] = next[group];
          next[group] = LoadWeights(b, pitch, out, first + group * kGroup, chunk + c + kRankStep);
        }
        MultiplyRanks<T, kRowTiles, kGroups>(shared + warp_row * kPitch + c, kPitch, weights, sums);
      }
    }
    offset += rank;
  }
  WaitForPrevious();
  const Finish finish = FinishOf(params, segment, output, segment.last - segment.first == 1 ? module : nullptr);
  if (offset == 0 && finish.Nothing()) {
    return;
  }
  DJL_LORA_UNROLL
  for (int group = 0; group < kGroups; ++group) {
    WriteOutputs<T, kRowTiles>(params, output, row + warp_row, count - warp_row, first + group * kGroup, finish,
                               sums[group]);
  }
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_EXPAND_H_
