// SPDX-License-Identifier: Apache-2.0
//
// The shape that an image was compiled for at run time: DJL_LORA_RANK and DJL_LORA_HIDDEN, a module's rank and number
// of inputs. The decode kernels of such an image take a shorter way for segments of one adapter of exactly that rank in
// a module of exactly that many inputs: what a loop's bounds are is known, so all of a lane's loads are under way
// before the first is used. Other segments and modules, and the tile kernels, go the way that they go in any image. The
// order of every sum is the same on both ways, and so are the bits.
#ifndef DJL_LORA_CUDA_KERNELS_FIXED_SHAPE_H_
#define DJL_LORA_CUDA_KERNELS_FIXED_SHAPE_H_

#include "expand.h"
#include "shrink.h"

namespace djl_lora {
namespace cuda {

#if defined(DJL_LORA_RANK) && defined(DJL_LORA_HIDDEN)
constexpr int kFixedRank = DJL_LORA_RANK;
constexpr int kFixedIn = DJL_LORA_HIDDEN;
#else
constexpr int kFixedRank = 0;
constexpr int kFixedIn = 0;
#endif

// Other rows cannot be loaded 16 bytes at a time, and for higher ranks there are too few registers.
constexpr int kMaxFixedRank = kFixedIn <= 4096 ? 32 : 16;
constexpr bool kFixedShape =
    kFixedRank > 0 && kFixedRank <= kMaxFixedRank&& kFixedIn > 0 && kFixedIn % kFeatureUnit == 0;

// Loads of 16 bytes that a lane has under way at once for A and x, less where B's are under way with them, and a warp's
// loads for B: as many as there are registers for.
constexpr int kShrinkLoads = 12;
constexpr int kFusedLoads = 10;
constexpr int kFixedWeights = 2;

DJL_LORA_BOTH constexpr int PartsOf(int whole, int part) { return (whole + part - 1) / part; }

// Whether x's rows can be loaded 16 bytes at a time, and have the features that the image was compiled for.
DJL_LORA_DEVICE bool HasFixedRows(const SgmvParams& params) {
  return params.in == kFixedIn && Aligned16(params.x) && params.x_stride % kFeatureUnit == 0;
}

// A lane's part of x and A for kBatch steps.
template <int kBatch, int kTiles>
struct FeatureBatch {
  Vec16 x[kBatch][2];
  Vec16 a[kBatch][kTiles];
};

// What Shrink computes, for one entry that has kRank ranks of kIn features. A warp takes the kSteps steps from warp_k
// on; kWhole: none of them goes past the features. `meanwhile()` is called once the first loads are under way.
template <typename T, int kRank, int kIn, int kSteps, bool kWhole, int kLoads>
struct FixedShrink {
  static constexpr int kTiles = PartsOf(kRank, 8);
  static constexpr int kPitch = FragmentPitch(8 * kTiles);
  static constexpr int kMatrix = kDecodeRows * kPitch;
  static constexpr int kMost = kLoads / (kTiles + 2);
  static constexpr int kBatch = kSteps < kMost ? kSteps : kMost;
  static_assert(kDecodeWarps * kMatrix * 4 <= kDecodeShrinkShared, "what the host reserves holds the fragments");

  const FeatureRows rows;
  const unsigned short* const a;  // the lane's first row, from its first feature on
  const int lane_row;
  const int lane_k;
  FeatureBatch<kBatch, kTiles> batch;
  float sums[1][kTiles][4];

  DJL_LORA_DEVICE_MEMBER FixedShrink(const SgmvParams& params, const void* weights, int row, int count, int warp_k)
      : rows(LaneRows<1>(params, row, count)),
        a(static_cast<const unsigned short*>(weights) + ThreadIndex() % kWarp / 4 * kIn + warp_k +
          ThreadIndex() % 4 * 8),
        lane_row(ThreadIndex() % kWarp / 4),
        lane_k(warp_k + ThreadIndex() % 4 * 8),
        batch{},
        sums{} {}

  DJL_LORA_DEVICE_MEMBER void LoadBatch(int first) {
    DJL_LORA_UNROLL
    for (int s = 0; s < kBatch; ++s) {
      const int k = (first + s) * kStep;
      const bool there = first + s < kSteps && (kWhole || lane_k + k < kIn);
      DJL_LORA_UNROLL
      for (int j = 0; j < kTiles; ++j) {
        const bool rank = 8 * j + 8 <= kRank || 8 * j + lane_row < kRank;
        batch.a[s][j] = there && rank ? LoadWeights16(a + 8 * j * kIn + k) : Vec16{};
      }
      DJL_LORA_UNROLL
      for (int half = 0; half < 2; ++half) {
        batch.x[s][half] =
            there && half < rows.count ? Load16(rows.first + half * rows.distance + lane_k + k) : Vec16{};
      }
    }
  }

  DJL_LORA_DEVICE_MEMBER void MultiplyBatch(int first) {
    DJL_LORA_UNROLL
    for (int s = 0; s < kBatch; ++s) {
      if (first + s < kSteps) {
        const Vec16& x0 = batch.x[s][0];
        const Vec16& x1 = batch.x[s][1];
        DJL_LORA_UNROLL
        for (int j = 0; j < kTiles; ++j) {
          const Vec16& right = batch.a[s][j];
          Multiply<T>(sums[0][j], x0.v[0], x1.v[0], x0.v[1], x1.v[1], right.v[0], right.v[1]);
          Multiply<T>(sums[0][j], x0.v[2], x1.v[2], x0.v[3], x1.v[3], right.v[2], right.v[3]);
        }
      }
    }
  }

  template <typename Store, typename Meanwhile>
  DJL_LORA_DEVICE_MEMBER void Run(int count, int output, float* shared, const Store& store,
                                  const Meanwhile& meanwhile) {
    const int thread = ThreadIndex();
    LoadBatch(0);
    meanwhile();
    if constexpr (kSteps <= kBatch) {
      MultiplyBatch(0);
    } else {
      // Loads at the end: a loop that is known to run once would be none, and the compiler would gather more loads at
      // its beginning than there are registers for.
      DJL_LORA_KEEP_LOOP
      for (int step = 0; step < kSteps; step += kBatch) {
        MultiplyBatch(step);
        LoadBatch(step + kBatch);
      }
    }
    StoreFragments(sums, shared + thread / kWarp * kMatrix);
    SyncBlock();
    DJL_LORA_KEEP_LOOP
    for (int place = thread; place < 8 * kTiles * count; place += kDecodeThreads) {
      const int r = place / (8 * kTiles);
      const int c = place % (8 * kTiles);
      if (c < kRank) {
        float sum = 0.0f;
        DJL_LORA_UNROLL
        for (int warp = 0; warp < kDecodeWarps; ++warp) {
          sum += shared[warp * kMatrix + r * kPitch + c];
        }
        store({nullptr, kRank, output, 0}, r, c, sum);
      }
    }
    SyncBlock();  // before the next rows' sums are written there
  }
};

// Nothing to do meanwhile.
struct Wait {
  DJL_LORA_DEVICE_MEMBER void operator()() const {}
};

// B for all ranks of a group of outputs.
template <int kRank>
struct GroupWeights {
  static constexpr int kSteps = PartsOf(kRank, kRankStep);

  WeightFragment step[kSteps][1];

  DJL_LORA_DEVICE_MEMBER void Load(const void* b, int last, int output) {
    DJL_LORA_UNROLL
    for (int c = 0; c < kSteps; ++c) {
      step[c][0] = LoadWeights(b, RoundUp(kRank, kRankUnit), last, output, c * kRankStep);
    }
  }
};

// The weights of the outputs [first, last) that come one after the other in a warp, `stride` apart.
template <int kRank, int kGroups>
struct LoadGroups {
  GroupWeights<kRank> (&groups)[kGroups];
  const void* b;
  int first;
  int last;
  int stride;

  DJL_LORA_DEVICE_MEMBER void operator()() const {
    DJL_LORA_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      groups[g].Load(b, last, first + g * stride);
    }
  }
};

// y of a group of outputs from the sums of all its ranks, [rows, pitch] in shared memory.
template <typename T, int kRank>
DJL_LORA_DEVICE void WriteGroup(const SgmvParams& params, int output, int row, int count, int first,
                                const Finish& finish, const float* sums, int pitch,
                                const GroupWeights<kRank>& weights) {
  OutputSums<1> outputs[1] = {};
  DJL_LORA_UNROLL
  for (int c = 0; c < GroupWeights<kRank>::kSteps; ++c) {
    MultiplyRanks<T, 1, 1>(sums + c * kRankStep, pitch, weights.step[c], outputs);
  }
  WriteOutputs<T, 1>(params, output, row, count, first, finish, outputs[0]);
}

// What Expand computes for a block of decode_expand and the rows [row, row + count) of a segment of one entry.
template <typename T, int kRank, int kIn>
DJL_LORA_DEVICE void ExpandFixed(const SgmvParams& params, const Segment& segment, int output, int row, int count,
                                 int first, float* shared) {
  constexpr int kPitch = RowPitch(kRankChunk);
  constexpr int kColumns = GroupWeights<kRank>::kSteps * kRankStep;
  const DeviceModule* module = FindModule(params, segment.first, output);
  GroupWeights<kRank> weights;
  weights.Load(module->b, params.output[output].out, first);
  WaitForPrevious();
  const float factor =
      Load(&module->scale) * (params.entry_weights == nullptr ? 1.0f : Load(params.entry_weights + segment.first));
  const long long matrix = static_cast<long long>(params.tokens) * params.max_rank;
  SyncBlock();  // before what others still read is written over
  DJL_LORA_UNROLL
  for (int place = ThreadIndex(); place < kDecodeRows * kColumns; place += kDecodeThreads) {
    const int r = place / kColumns;
    const int c = place % kColumns;
    float sum = 0.0f;
    if (r < count && c < kRank) {
      const float* part = params.partial + output * matrix + static_cast<long long>(row + r) * params.max_rank + c;
      DJL_LORA_UNROLL_BY(4)
      for (int split = 0; split < PartsOf(kIn, kDecodeSplit); ++split) {
        sum += LoadWrittenFloat(part + split * params.outputs * matrix);
      }
    }
    shared[r * kPitch + c] = sum * factor;
  }
  SyncBlock();
  WriteGroup<T>(params, output, row, count, first, FinishOf(params, segment, output, module), shared, kPitch, weights);
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_FIXED_SHAPE_H_
