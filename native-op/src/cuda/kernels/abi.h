// SPDX-License-Identifier: Apache-2.0
//
// What the host hands to the CUDA kernels of SGMV (cpu/sgmv_cpu.h has the formula), and what they tell it. Compiled by
// the host's compiler, by nvcc and by NVRTC, so it includes nothing.
#ifndef DJL_LORA_CUDA_KERNELS_ABI_H_
#define DJL_LORA_CUDA_KERNELS_ABI_H_

// Of functions that both sides call.
#ifdef __CUDACC__
#define DJL_LORA_BOTH __host__ __device__
#else
#define DJL_LORA_BOTH
#endif

namespace djl_lora {
namespace cuda {

constexpr int kMaxOutputs = 4;       // modules that share x in one call
constexpr int kMaxEntries = 64;      // adapters that one segment may stack
constexpr int kMaxRank = 512;        // of one adapter's module
constexpr int kEmptySlot = -1;       // DeviceModule::rank where a slot holds no adapter
constexpr int kRankUnit = 4;         // B's rows are padded with zeros to a multiple of this: 8-byte loads
constexpr int kFeatureUnit = 8;      // A's rows are padded with zeros to a multiple of this: 16-byte loads
constexpr int kPartAlignment = 128;  // bytes, of A, B, out_scale and bias

// One adapter's share of one module, in device memory: the entry [slot][module] of a table.
struct DeviceModule {
  const void* a;          // [rank, in rounded up to kFeatureUnit]
  const void* b;          // [out, rank rounded up to kRankUnit]
  const void* out_scale;  // [out], or null
  const void* bias;       // [out], or null for the layer's own
  float scale;
  int rank;  // 0: no low-rank part; kEmptySlot: the slot is empty
};

struct DeviceOutput {
  void* y;             // [tokens, out], holds the base product
  long long y_stride;  // elements from one row to the next
  const void* bias;    // [out], the layer's own, or null
  int out;
  int module;
};

// Why the kernels gave NaN for some rows. The first of a table's errors stays until it is read.
enum DeviceErrorCode : int {
  kNoError = 0,
  kBadSegment,    // value: where the segment starts or ends
  kBadSlot,       // value: the slot, which is outside the table
  kNoAdapter,     // value: the slot, which is empty
  kBadStack,      // value: how many entries the segment has
  kBadWeight,     // value: the slot whose weight is not finite
  kNotStackable,  // value: the slot, whose adapter has an out_scale or a bias in a stack or with a weight
  kRankTooLarge,  // value: the rank, or the sum of a stack's ranks, that is more than was reserved
};

struct DeviceError {
  int code;
  int segment;
  int value;  // the nearest int, where it is too large for one
  int reserved;
};

// A call. What is behind the pointers lies on the device, the plan as well, so that a captured graph may be replayed
// with another plan of the same size.
struct SgmvParams {
  const void* x;  // [tokens, in]
  long long x_stride;
  int in;
  int tokens;
  int segments;
  int outputs;
  DeviceOutput output[kMaxOutputs];
  const long long* segment_starts;  // [segments + 1]
  const long long* slots;           // [segments], or [entries] with entry_starts; -1 for base rows
  const long long* entry_starts;    // [segments + 1], or null
  const float* entry_weights;       // [entries], with entry_starts
  int entries;
  const DeviceModule* table;  // [slots, modules]
  int table_slots;
  int table_modules;
  DeviceError* error;
  // What the shrink kernels hand to the expand kernels: [splits, outputs, tokens, max_rank] sums over parts of `in`.
  float* partial;
  int splits;
  int max_rank;  // of an adapter, or of all of a stack together
};

// The shapes of the kernels that the host needs to launch them; threads are those of a block.
constexpr int kWarp = 32;
constexpr int kDecodeWarps = 8;
constexpr int kDecodeThreads = kDecodeWarps * kWarp;
constexpr int kDecodeRows = 16;      // rows of a segment that a block takes at a time
constexpr int kDecodeSplit = 1024;   // features that a block of decode_shrink takes
constexpr int kDecodeOutputs = 256;  // outputs that a block of decode_expand takes
constexpr int kCluster = 8;          // blocks of decode_fused that share a segment
constexpr int kTileWarps = 4;
constexpr int kTileThreads = kTileWarps * kWarp;
constexpr int kTileRows = 64;      // rows of one segment that a block takes
constexpr int kTileSplit = 1024;   // features that a block of tile_shrink takes
constexpr int kTileOutputs = 128;  // outputs that a block of tile_expand takes
constexpr int kTileExpandThreads = 256;
constexpr int kRankChunk = 64;  // ranks whose sums the expand kernels hold in shared memory at a time

DJL_LORA_BOTH constexpr int RoundUp(int value, int unit) { return (value + unit - 1) / unit * unit; }

// Floats from one row to the next of matrices in shared memory, so that rows start in different banks: of sums that are
// written as fragments, two floats a lane, and of those that are read four floats a lane.
DJL_LORA_BOTH constexpr int FragmentPitch(int columns) { return RoundUp(columns, 32) + 8; }
DJL_LORA_BOTH constexpr int RowPitch(int columns) { return RoundUp(columns, 32) + 16; }

constexpr int kDecodeRankTiles = 2;  // of 8 ranks, that a pass over x takes
constexpr int kTileRankTiles = 6;

// Bytes of shared memory.
constexpr int kDecodeShrinkShared = kDecodeWarps * kDecodeRows * FragmentPitch(8 * kDecodeRankTiles) * 4;
constexpr int kDecodeExpandShared = kDecodeRows * RowPitch(kRankChunk) * 4;
constexpr int kTileShrinkShared = kTileWarps * kTileRows * FragmentPitch(8 * kTileRankTiles) * 4;
constexpr int kTileExpandShared = kTileRows * RowPitch(kRankChunk) * 4;
DJL_LORA_BOTH constexpr int FusedShared(int max_rank) {
  return kDecodeShrinkShared + 2 * kDecodeRows * RowPitch(max_rank) * 4;
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_ABI_H_
