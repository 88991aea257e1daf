// SPDX-License-Identifier: Apache-2.0
//
// What the host hands to the CUDA kernels of paged attention (cpu/attention_cpu.h has the formula). Elements are 16
// bits wide, all of the kernel's type; what is behind the pointers lies on the device, the plan as well, so that a
// captured graph may be replayed with another plan of the same size.
#ifndef DJL_LORA_CUDA_KERNELS_ATTENTION_ABI_H_
#define DJL_LORA_CUDA_KERNELS_ATTENTION_ABI_H_

#include "layers_abi.h"

namespace djl_lora {
namespace cuda {

// Query heads that share keys are cut into groups of `group` of them; a row of a group is one token's query of one of
// its heads. Block rows of the grid's second axis are groups.
struct AttentionParams {
  const void* q;  // [tokens, groups · group, dim]
  long long q_token_stride;
  long long q_head_stride;
  const void* keys;              // [pages, groups / groups_per_head, dim, positions]
  const void* values;            // [pages, groups / groups_per_head, positions, dim]
  const long long* row_starts;   // [sequences + 1]
  const long long* lengths;      // [sequences]
  const long long* page_starts;  // [sequences + 1]
  const long long* page_table;   // [table]
  void* result;                  // [tokens, groups · group, dim]
  // Of sequences that several blocks share, [decode_items, groups, partial_rows, dim + 2]: the greatest score, the sum
  // of the weights against it, and the sum of the values with these weights.
  float* partial;
  float scale;  // times log2(e)
  int window;   // the largest int for all positions
  int pages;
  int table;
  int tokens;
  int sequences;
  int groups;
  int group;            // at most kRowTile
  int groups_per_head;  // of keys and values
  int dim;
  int positions;
  int partial_rows;
  // Blocks of the grid's first axis: tiles of sequences with many rows, and then parts of sequences with few.
  int tile_items;
  int tile_unit;  // rows; which block takes which tile, see FindTileItem
  bool tile_per_sequence;
  int decode_items;
};

constexpr int kRowTile = 16;       // rows of a group that a warp works on; a sequence of no more is cut by positions
constexpr int kSplitUnit = 256;    // positions; what blocks share a sequence by is a multiple of this
constexpr int kMaxSplits = 64;     // of one sequence
constexpr int kPositionUnit = 16;  // positions of a page are a multiple of this
constexpr int kCombineThreads = 128;
constexpr int kPlainWarps = 4;
constexpr int kPlainThreads = kPlainWarps * kWarp;
constexpr int kPlainDim = 512;  // the largest head
constexpr int kSharedPad = 8;   // elements behind a row in shared memory: eight rows start in different banks

// Positions that a block holds at a time, and its warps. Larger heads have fewer: twice of both are to fit into the 99
// KB that a block may have on an RTX or an L4.
DJL_LORA_BOTH constexpr int PositionTile(int dim) { return dim > 128 ? 32 : 64; }
DJL_LORA_BOTH constexpr int AttentionWarps(int dim) { return PositionTile(dim) / kPositionUnit; }
DJL_LORA_BOTH constexpr int AttentionThreads(int dim) { return AttentionWarps(dim) * kWarp; }
// Rows of a tile of a sequence with many.
DJL_LORA_BOTH constexpr int TileRows(int dim) { return AttentionWarps(dim) * kRowTile; }

// Elements of a tile of keys and values in shared memory.
DJL_LORA_BOTH constexpr int StageElements(int dim) {
  return dim * (PositionTile(dim) + kSharedPad) + PositionTile(dim) * (dim + kSharedPad);
}
// Of a row's queries, in steps of 16 components, how many are in registers. Larger heads leave no room for the others,
// which are in shared memory; of 128, as many as three blocks on a multiprocessor of Hopper have room for there.
DJL_LORA_BOTH constexpr int RegisterSteps(int dim) { return dim > 128 ? 0 : dim == 128 ? 6 : dim / 16; }
// Bytes of shared memory: two tiles, queries, where the units of both tiles lie, and what the call is.
constexpr int kUnitBytes = 16;
constexpr int kCallBytes = 64;
DJL_LORA_BOTH constexpr int QueryBytes(int dim) {
  return AttentionWarps(dim) * (dim / 16 - RegisterSteps(dim)) * kWarp * 16;
}
DJL_LORA_BOTH constexpr int AttentionShared(int dim) {
  return 2 * StageElements(dim) * 2 + QueryBytes(dim) + 2 * AttentionWarps(dim) * kUnitBytes + kCallBytes;
}
DJL_LORA_BOTH constexpr int PlainShared(int dim) { return kPlainWarps * dim * 4 + 16; }

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_ATTENTION_ABI_H_
