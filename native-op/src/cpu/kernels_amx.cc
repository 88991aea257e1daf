// SPDX-License-Identifier: Apache-2.0
//
// bfloat16 products of long segments in Intel's tile registers: 16 rows of x by 16 rows of A, or 16 outputs, at once.
// The tile unit multiplies pairs into float32, subnormal numbers count as zero there, and the sums go over pairs in
// order.
#include "cpu/vector_avx512_bf16.h"

namespace djl_lora {

namespace {

constexpr int64_t kTileRows = 16;
constexpr int64_t kTilePairs = 16;  // 64 bytes
constexpr int64_t kTileElements = 2 * kTilePairs;

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  void Set(int tile, int64_t tile_rows, int64_t tile_bytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    bytes[tile] = static_cast<uint16_t>(tile_bytes);
  }
};

// 16 rows of 16 pairs, each pair a 32-bit number, turned over: row r of the result holds pair r of every row.
DJL_LORA_INLINE void Transpose(__m512i (&rows)[16], void* result) {
  __m512i a[16];
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  __m512i b[16];  // b[4 q + j]: rows 4 q to 4 q + 3 of pair j of each quarter
  for (int q = 0; q < 4; ++q) {
    b[4 * q] = _mm512_unpacklo_epi64(a[4 * q], a[4 * q + 2]);
    b[4 * q + 1] = _mm512_unpackhi_epi64(a[4 * q], a[4 * q + 2]);
    b[4 * q + 2] = _mm512_unpacklo_epi64(a[4 * q + 1], a[4 * q + 3]);
    b[4 * q + 3] = _mm512_unpackhi_epi64(a[4 * q + 1], a[4 * q + 3]);
  }
  __m512i* to = static_cast<__m512i*>(result);
  for (int j = 0; j < 4; ++j) {
    const __m512i low01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88);        // quarters 0 and 2 of rows 0 to 7
    const __m512i high01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);       // quarters 1 and 3
    const __m512i low23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);   // of rows 8 to 15
    const __m512i high23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    _mm512_store_si512(to + j, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_store_si512(to + 4 + j, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_store_si512(to + 8 + j, _mm512_shuffle_i32x4(low01, low23, 0xdd));
    _mm512_store_si512(to + 12 + j, _mm512_shuffle_i32x4(high01, high23, 0xdd));
  }
}

// Tiles 0 to 3 hold the sums of four times 16 rows of x and tile 7 those of the rest, 4 and 5 the rows of x, and 6 the
// rows of A, turned over once for all rows of x.
void TileDot(const DotTask& task) {
  const BFloat16* x = static_cast<const BFloat16*>(task.x);
  const BFloat16* w = static_cast<const BFloat16*>(task.weight);
  const int64_t full = task.tokens / kTileRows;
  const int64_t rest = task.tokens % kTileRows;
  TileConfig config;
  for (const int tile : {0, 1, 2, 3, 4, 6}) {
    config.Set(tile, kTileRows, 64);
  }
  config.Set(5, rest > 0 ? rest : 1, 64);
  config.Set(7, rest > 0 ? rest : 1, 64);
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(7);
  alignas(64) BFloat16 turned[kTilePairs * kTileElements];
  alignas(64) BFloat16 tail[kMostTokens * kTileElements];
  for (int64_t i = 0; i < task.in; i += kTileElements) {
    const int64_t left = task.in - i;
    const __mmask32 mask = left >= kTileElements ? ~__mmask32{0} : static_cast<__mmask32>((1u << left) - 1);
    __m512i rows[16];
    for (int64_t r = 0; r < kTileRows; ++r) {
      rows[r] = r < task.rows ? _mm512_maskz_loadu_epi16(mask, w + r * task.weight_stride + i) : _mm512_setzero_si512();
    }
    Transpose(rows, turned);
    _tile_loadd(6, turned, 64);
    const BFloat16* from = x + i;
    int64_t stride = task.x_stride;
    if (left < kTileElements) {  // a tile must not read behind the row
      for (int64_t t = 0; t < task.tokens; ++t) {
        _mm512_store_si512(tail + t * kTileElements, _mm512_maskz_loadu_epi16(mask, from + t * stride));
      }
      from = tail;
      stride = kTileElements;
    }
    const int64_t stride_bytes = stride * 2;
    if (full > 0) {
      _tile_loadd(4, from, stride_bytes);
      _tile_dpbf16ps(0, 4, 6);
    }
    if (full > 1) {
      _tile_loadd(4, from + kTileRows * stride, stride_bytes);
      _tile_dpbf16ps(1, 4, 6);
    }
    if (full > 2) {
      _tile_loadd(4, from + 2 * kTileRows * stride, stride_bytes);
      _tile_dpbf16ps(2, 4, 6);
    }
    if (full > 3) {
      _tile_loadd(4, from + 3 * kTileRows * stride, stride_bytes);
      _tile_dpbf16ps(3, 4, 6);
    }
    if (rest > 0) {
      _tile_loadd(5, from + full * kTileRows * stride, stride_bytes);
      _tile_dpbf16ps(7, 5, 6);
    }
  }
  static_assert(kChunkRows == kTileRows, "a tile of sums is a block of dots");
  if (full > 0) {
    _tile_stored(0, task.dots, 64);
  }
  if (full > 1) {
    _tile_stored(1, task.dots + kTileRows * kChunkRows, 64);
  }
  if (full > 2) {
    _tile_stored(2, task.dots + 2 * kTileRows * kChunkRows, 64);
  }
  if (full > 3) {
    _tile_stored(3, task.dots + 3 * kTileRows * kChunkRows, 64);
  }
  if (rest > 0) {
    _tile_stored(7, task.dots + full * kTileRows * kChunkRows, 64);
  }
  _tile_release();
}

// Tiles 0 and 1 hold twice 16 outputs. 2 and 3 hold the halves of the intermediate and 4 the part of B for 32 rank
// components, 5 to 7 the same for what is left of the rank. `sums` [tokens, 32] is added to unless this part is the
// first.
DJL_LORA_INLINE void AccumulateTiles(const ExpandPart& part, int64_t tile, int64_t tiles, int64_t token, int64_t tokens,
                                     bool first, float* sums) {
  const int64_t columns = RoundUpToEven(part.rank);
  const int64_t row_bytes = part.h_stride * static_cast<int64_t>(sizeof(float));
  const BFloat16* high = reinterpret_cast<const BFloat16*>(part.h + token * part.h_stride);
  const BFloat16* low = high + columns;
  const BFloat16* b0 = static_cast<const BFloat16*>(part.b) + tile * columns * kLanes;
  const BFloat16* b1 = tiles > 1 ? b0 + columns * kLanes : b0;
  _tile_zero(0);
  _tile_zero(1);
  int64_t r = 0;
  for (; r + kTileElements <= columns; r += kTileElements) {
    _tile_loadd(2, high + r, row_bytes);
    _tile_loadd(3, low + r, row_bytes);
    _tile_loadd(4, b0 + r * kLanes, 64);
    _tile_dpbf16ps(0, 2, 4);
    _tile_dpbf16ps(0, 3, 4);
    _tile_loadd(4, b1 + r * kLanes, 64);
    _tile_dpbf16ps(1, 2, 4);
    _tile_dpbf16ps(1, 3, 4);
  }
  if (r < columns) {
    _tile_loadd(5, high + r, row_bytes);
    _tile_loadd(6, low + r, row_bytes);
    _tile_loadd(7, b0 + r * kLanes, 64);
    _tile_dpbf16ps(0, 5, 7);
    _tile_dpbf16ps(0, 6, 7);
    _tile_loadd(7, b1 + r * kLanes, 64);
    _tile_dpbf16ps(1, 5, 7);
    _tile_dpbf16ps(1, 6, 7);
  }
  if (first) {
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + kLanes, 128);
    return;
  }
  alignas(64) float more[kTileRows * 2 * kLanes];
  _tile_stored(0, more, 128);
  _tile_stored(1, more + kLanes, 128);
  for (int64_t i = 0; i < tokens * 2 * kLanes; i += kLanes) {
    _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i), _mm512_load_ps(more + i)));
  }
}

void Configure(int64_t tokens, int64_t rank) {
  const int64_t rest = RoundUpToEven(rank) % kTileElements;
  TileConfig config;
  for (const int tile : {0, 1, 2, 3}) {
    config.Set(tile, tokens, 64);
  }
  config.Set(4, kTilePairs, 64);
  config.Set(5, tokens, rest > 0 ? rest * 2 : 64);
  config.Set(6, tokens, rest > 0 ? rest * 2 : 64);
  config.Set(7, rest > 0 ? rest / 2 : kTilePairs, 64);
  _tile_loadconfig(&config);
}

void TileExpand(const ExpandTask& task) {
  using V = Avx512;
  const int64_t end = task.first + task.outputs;
  const BFloat16* out_scale = static_cast<const BFloat16*>(task.out_scale);
  const BFloat16* bias = static_cast<const BFloat16*>(task.bias);
  alignas(64) float sums[kTileRows * 2 * kLanes] = {};
  for (int64_t token = 0; token < task.tokens; token += kTileRows) {
    const int64_t tokens = task.tokens - token < kTileRows ? task.tokens - token : kTileRows;
    if (task.part_count == 1) {
      Configure(tokens, task.parts[0].rank);
    }
    for (int64_t o = task.first; o < end; o += 2 * kLanes) {
      const int64_t tiles = end - o > kLanes ? 2 : 1;
      for (int64_t p = 0; p < task.part_count; ++p) {
        if (task.part_count > 1) {
          Configure(tokens, task.parts[p].rank);
        }
        AccumulateTiles(task.parts[p], o / kLanes, tiles, token, tokens, p == 0, sums);
      }
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t column = o + i * kLanes;
        const int64_t n = end - column;
        const __m512 scale = out_scale != nullptr ? LoadUpTo16<V>(out_scale + column, n) : V::Zero();
        const __m512 add = bias != nullptr ? LoadUpTo16<V>(bias + column, n) : V::Zero();
        for (int64_t t = 0; t < tokens; ++t) {
          BFloat16* y = static_cast<BFloat16*>(task.y) + (token + t) * task.y_stride + column;
          __m512 value = V::Add(LoadUpTo16<V>(y, n), _mm512_load_ps(sums + (2 * t + i) * kLanes));
          if (out_scale != nullptr) {
            value = V::Mul(value, scale);
          }
          if (bias != nullptr) {
            value = V::Add(value, add);
          }
          if (n >= kLanes) {
            V::Store(y, value);
          } else {
            V::Store(y, value, n);
          }
        }
      }
    }
  }
  if (task.part_count > 0) {
    _tile_release();
  }
}

}  // namespace

const KernelSet* AmxKernels() {
  static constexpr KernelSet kSet = {TileDot,
                                     Dot<Avx512, BFloat16, int8_t>,
                                     Intermediate::kSplit,
                                     FinishSplit,
                                     FinishFloat<Avx512>,
                                     TileExpand,
                                     StoreRows<Avx512, BFloat16>,
                                     kMostTokens};
  return &kSet;
}

}  // namespace djl_lora
