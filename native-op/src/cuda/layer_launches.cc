// SPDX-License-Identifier: Apache-2.0
#include "cuda/layer_launches.h"

#include <algorithm>

namespace djl_lora::cuda {

namespace {

constexpr long long Parts(long long whole, long long part) { return (whole + part - 1) / part; }

unsigned Unsigned(long long value) { return static_cast<unsigned>(value); }

// The kernel on tensor cores for heads of that size, or the plain one. Copies of 16 bytes need pages on such a
// boundary.
LayerKernel KernelFor(const AttentionParams& params) {
  const auto aligned = [](const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; };
  if (aligned(params.keys) && aligned(params.values)) {
    switch (params.dim) {
      case 64:
        return LayerKernel::kAttention64;
      case 80:
        return LayerKernel::kAttention80;
      case 96:
        return LayerKernel::kAttention96;
      case 128:
        return LayerKernel::kAttention128;
      case 256:
        return LayerKernel::kAttention256;
      default:
        break;
    }
  }
  return LayerKernel::kAttentionPlain;
}

}  // namespace

int NormRowThreads(int size) {
  return size <= kWarpNormSize ? kWarp : std::min(kMaxNormThreads, RoundUp((size + kVector - 1) / kVector, kWarp));
}

int ArgmaxParts(int columns) { return static_cast<int>(Parts(columns, kArgmaxPart)); }

LayerLaunch LaunchOf(NormParams params) {
  params.row_threads = NormRowThreads(params.size);
  const bool one_warp = params.row_threads == kWarp;
  return {LayerKernel::kRmsNorm,
          {Unsigned(one_warp ? Parts(params.rows, kNormWarps) : params.rows), 1, 1},
          Unsigned(one_warp ? kNormWarps * kWarp : params.row_threads),
          kNormShared,
          false,
          params};
}

LayerLaunch LaunchOf(const SiluMulParams& params) {
  return {LayerKernel::kSiluMul,
          {Unsigned(Parts(params.count, kSiluMulElements)), 1, 1},
          kSiluMulThreads,
          0,
          false,
          params};
}

LayerLaunch LaunchOf(const ArgmaxParams& params) {
  return {LayerKernel::kArgmax,
          {Unsigned(params.parts), Unsigned(std::min<long long>(params.rows, kMaxGridY)), 1},
          kArgmaxThreads,
          kArgmaxShared,
          false,
          params};
}

LayerLaunch LaunchOf(const KvWriteParams& params) {
  const int heads = params.kv_heads + (params.q == nullptr ? 0 : params.heads);
  return {LayerKernel::kKvWrite,
          {Unsigned(Parts(params.tokens, kKvWriteTokens)), Unsigned(heads), 1},
          kKvWriteThreads,
          Unsigned(KvWriteShared(params.dim)),
          false,
          params};
}

void Divide(int heads, int kv_heads, AttentionParams* params) {
  const int shared = heads / kv_heads;
  params->groups_per_head = 1;  // the fewest equal groups whose rows fit a tile
  while (shared % params->groups_per_head != 0 || shared / params->groups_per_head > kRowTile) {
    ++params->groups_per_head;
  }
  params->group = shared / params->groups_per_head;
  params->groups = kv_heads * params->groups_per_head;
  const long long rows = static_cast<long long>(params->tokens) * params->group;
  params->partial_rows = std::min(kRowTile / params->group * params->group, static_cast<int>(rows));
  // The host does not know which sequences have many rows. Blocks are numbered by where a sequence begins: one tile
  // more for each than its rows fill, or a block for every 16 rows. What is fewer is taken: the second for single
  // tokens.
  const int tile_rows = TileRows(params->dim);
  const long long by_sequence = rows / tile_rows + params->sequences;
  const long long by_rows = rows / kRowTile;
  params->tile_per_sequence = by_sequence <= by_rows;
  params->tile_unit = params->tile_per_sequence ? tile_rows : kRowTile;
  params->tile_items = rows <= kRowTile ? 0 : static_cast<int>(std::min(by_sequence, by_rows));
  params->decode_items =
      static_cast<int>(static_cast<long long>(params->table) * params->positions / kSplitUnit) + params->sequences;
}

int64_t PartialSize(const AttentionParams& params) {
  const bool shared =
      KernelFor(params) != LayerKernel::kAttentionPlain && int64_t{params.table} * params.positions > kSplitUnit;
  return shared ? int64_t{params.decode_items} * params.groups * params.partial_rows * (params.dim + 2) : 0;
}

std::vector<LayerLaunch> Launches(const AttentionParams& params) {
  const LayerKernel kernel = KernelFor(params);
  const unsigned groups = Unsigned(params.groups);
  const unsigned tokens = Unsigned(params.tokens);
  if (kernel == LayerKernel::kAttentionPlain) {
    return {{kernel, {tokens, groups, 1}, kPlainThreads, Unsigned(PlainShared(params.dim)), false, params}};
  }
  std::vector<LayerLaunch> launches;
  launches.reserve(2);
  launches.push_back({kernel,
                      {Unsigned(params.tile_items + params.decode_items), groups, 1},
                      Unsigned(AttentionThreads(params.dim)),
                      Unsigned(AttentionShared(params.dim)),
                      false,
                      params});
  if (params.partial != nullptr) {
    launches.push_back(
        {LayerKernel::kAttentionCombine, {tokens, groups, 1}, kCombineThreads, sizeof(int), true, params});
  }
  return launches;
}

}  // namespace djl_lora::cuda
