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

// gcc's intrinsics tell the compiler neither that a tile is loaded from memory nor that all 64 bytes of a configuration
// are read, so it may leave out or move the stores before. This makes them happen.
DJL_LORA_INLINE void StoresAreDone() { __asm__ volatile("" ::: "memory"); }

DJL_LORA_INLINE void Load(const TileConfig* config) {
  __asm__ volatile("" : : "r"(config) : "memory");
  _tile_loadconfig(config);
}

// 16 rows of 16 pairs, each pair a 32-bit number, turned over: row r then holds pair r of every row.
DJL_LORA_INLINE void Transpose(__m512i (&rows)[16]) {
  __m512i a[16];
  for (int64_t i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  __m512i b[16];  // b[4 q + j]: rows 4 q to 4 q + 3 of pair j of each quarter
  for (int64_t q = 0; q < 4; ++q) {
    b[4 * q] = _mm512_unpacklo_epi64(a[4 * q], a[4 * q + 2]);
    b[4 * q + 1] = _mm512_unpackhi_epi64(a[4 * q], a[4 * q + 2]);
    b[4 * q + 2] = _mm512_unpacklo_epi64(a[4 * q + 1], a[4 * q + 3]);
    b[4 * q + 3] = _mm512_unpackhi_epi64(a[4 * q + 1], a[4 * q + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i low01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88);       // quarters 0 and 2 of rows 0 to 7
    const __m512i high01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);      // quarters 1 and 3
    const __m512i low23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);  // of rows 8 to 15
    const __m512i high23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    rows[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    rows[4 + j] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    rows[12 + j] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

DJL_LORA_INLINE void TransposeTo(__m512i (&rows)[16], void* result) {
  Transpose(rows);
  __m512i* to = static_cast<__m512i*>(result);
  for (int64_t r = 0; r < 16; ++r) {
    _mm512_store_si512(to + r, rows[r]);
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
  Load(&config);
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
    TransposeTo(rows, turned);
    StoresAreDone();
    _tile_loadd(6, turned, 64);
    const BFloat16* from = x + i;
    int64_t stride = task.x_stride;
    if (left < kTileElements) {  // a tile must not read behind the row
      for (int64_t t = 0; t < task.tokens; ++t) {
        _mm512_store_si512(tail + t * kTileElements, _mm512_maskz_loadu_epi16(mask, from + t * stride));
      }
      StoresAreDone();
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

// Rows of x turned over, 16 rows and 16 pairs at a time, as the second operand of a tile product: [tokens / 16]
// [in / 32][16 pairs][16 tokens][2], filled up with zeros.
void PackRows(const void* x, int64_t x_stride, int64_t tokens, int64_t in, void* packed) {
  const BFloat16* from = static_cast<const BFloat16*>(x);
  BFloat16* to = static_cast<BFloat16*>(packed);
  for (int64_t t = 0; t < tokens; t += kTileRows) {
    for (int64_t i = 0; i < in; i += kTileElements) {
      const int64_t left = in - i;
      const __mmask32 mask = left >= kTileElements ? ~__mmask32{0} : static_cast<__mmask32>((1u << left) - 1);
      __m512i rows[16];
      for (int64_t r = 0; r < kTileRows; ++r) {
        rows[r] =
            t + r < tokens ? _mm512_maskz_loadu_epi16(mask, from + (t + r) * x_stride + i) : _mm512_setzero_si512();
      }
      TransposeTo(rows, to);
      to += kTilePairs * kTileElements;
    }
  }
}

// The sums of 32 outputs of a weight: [2][tiles 0 to 3][16 outputs][16 rows of x].
constexpr int64_t kTileSums = kTileRows * kTileRows;
constexpr int64_t kOutputSums = 4 * kTileSums;
constexpr int64_t kPairedOutputs = 2 * kTileRows;

// Words 0 and 16, 1 and 17, and so on become neighbours.
struct alignas(64) Interleave {
  uint16_t words[32];
};
constexpr Interleave kInterleave = {{0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}};

// Puts `outputs` outputs from the first on, of up to 16 rows of x, into the result. Sums are rounded as soon as they
// are complete, so that two outputs are turned over as one pair: what a thread does here it does not read memory for.
template <bool kTwoTiles, bool kBias>
DJL_LORA_INLINE void StoreSums(const PackedLinearTask& task, const float* sums, int64_t block, int64_t first,
                               int64_t outputs) {
  alignas(64) float bias[kPairedOutputs];
  if (kBias) {
    const BFloat16* from = static_cast<const BFloat16*>(task.bias) + first;
    _mm512_store_ps(bias, Avx512::Load(from, outputs));
    _mm512_store_ps(bias + kTileRows,
                    outputs > kTileRows ? Avx512::Load(from + kTileRows, outputs - kTileRows) : Avx512::Zero());
  }
  const auto output = [&](int64_t o) {
    const float* from = sums + o / kTileRows * kOutputSums + block * kTileSums + o % kTileRows * kTileRows;
    __m512 sum = _mm512_load_ps(from);
    if (kTwoTiles) {
      sum = _mm512_add_ps(sum, _mm512_load_ps(from + kTileSums));
    }
    return kBias ? _mm512_add_ps(sum, _mm512_set1_ps(bias[o])) : sum;
  };
  const __m512i interleave = _mm512_load_si512(kInterleave.words);
  __m512i rows[16];
  for (int64_t r = 0; r < kTileRows; ++r) {
    const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(output(2 * r + 1), output(2 * r)));
    rows[r] = _mm512_permutexvar_epi16(interleave, both);
  }
  Transpose(rows);
  const __mmask32 mask = outputs >= kPairedOutputs ? ~__mmask32{0} : static_cast<__mmask32>((1u << outputs) - 1);
  const int64_t token = block * kTileRows;
  BFloat16* result = static_cast<BFloat16*>(task.result) + token * task.result_stride + first;
  if (task.tokens - token >= kTileRows) {
#pragma GCC unroll 16
    for (int64_t t = 0; t < kTileRows; ++t) {
      _mm512_mask_storeu_epi16(result + t * task.result_stride, mask, rows[t]);
    }
    return;
  }
#pragma GCC unroll 16
  for (int64_t t = 0; t < kTileRows; ++t) {
    if (t < task.tokens - token) {
      _mm512_mask_storeu_epi16(result + t * task.result_stride, mask, rows[t]);
    }
  }
}

// Rows of the weight as they lie in memory are the first operand, so that they stream through once. Tiles 0 to 3 hold
// the sums of 16 outputs by 16 rows of x each; with 16 rows or fewer, tiles 0 and 1 take turns, since a product waits
// for the one before it in the same tile.
DJL_LORA_INLINE void TileSums(const PackedLinearTask& task, int64_t o, float* sums) {
  const BFloat16* w = static_cast<const BFloat16*>(task.weight) + o * task.weight_stride;
  const int64_t rows = task.end - o < kTileRows ? task.end - o : kTileRows;
  const int64_t steps = (task.in + kTileElements - 1) / kTileElements;
  const int64_t x_tile = kTilePairs * kTileElements;
  const int64_t x_block = steps * x_tile;
  const int64_t blocks = (task.tokens + kTileRows - 1) / kTileRows;
  alignas(64) BFloat16 tail[kTileRows * kTileElements];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t i = step * kTileElements;
    const int64_t left = task.in - i;
    if (rows == kTileRows && left >= kTileElements) {
      _tile_loadd(4, w + i, task.weight_stride * 2);
    } else {  // a tile must not read behind the weight
      const __mmask32 mask = left >= kTileElements ? ~__mmask32{0} : static_cast<__mmask32>((1u << left) - 1);
      for (int64_t r = 0; r < kTileRows; ++r) {
        _mm512_store_si512(
            tail + r * kTileElements,
            r < rows ? _mm512_maskz_loadu_epi16(mask, w + r * task.weight_stride + i) : _mm512_setzero_si512());
      }
      StoresAreDone();
      _tile_loadd(4, tail, 64);
    }
    const BFloat16* packed = static_cast<const BFloat16*>(task.x) + step * x_tile;
    _tile_loadd(5, packed, 64);
    if (blocks == 1) {
      if (step % 2 == 0) {
        _tile_dpbf16ps(0, 4, 5);
      } else {
        _tile_dpbf16ps(1, 4, 5);
      }
      continue;
    }
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(5, packed + x_block, 64);
    _tile_dpbf16ps(1, 4, 5);
    if (blocks > 2) {
      _tile_loadd(5, packed + 2 * x_block, 64);
      _tile_dpbf16ps(2, 4, 5);
    }
    if (blocks > 3) {
      _tile_loadd(5, packed + 3 * x_block, 64);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + kTileSums, 64);
  if (blocks > 2) {
    _tile_stored(2, sums + 2 * kTileSums, 64);
    _tile_stored(3, sums + 3 * kTileSums, 64);
  }
  StoresAreDone();
}

template <bool kBias>
void TileLinear(const PackedLinearTask& task) {
  const int64_t blocks = (task.tokens + kTileRows - 1) / kTileRows;
  TileConfig config;
  for (const int tile : {0, 1, 2, 3, 4, 5}) {
    config.Set(tile, kTileRows, 64);
  }
  Load(&config);
  alignas(64) float sums[2 * kOutputSums] = {};
  for (int64_t o = task.first; o < task.end; o += kPairedOutputs) {
    const int64_t outputs = task.end - o < kPairedOutputs ? task.end - o : kPairedOutputs;
    TileSums(task, o, sums);
    if (outputs > kTileRows) {
      TileSums(task, o + kTileRows, sums + kOutputSums);
    }
    if (blocks == 1) {
      StoreSums<true, kBias>(task, sums, 0, o, outputs);
      continue;
    }
    for (int64_t block = 0; block < blocks; ++block) {
      StoreSums<false, kBias>(task, sums, block, o, outputs);
    }
  }
  _tile_release();
}

void TileLinear(const PackedLinearTask& task) {
  if (task.bias == nullptr) {
    TileLinear<false>(task);
  } else {
    TileLinear<true>(task);
  }
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
  StoresAreDone();
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
  Load(&config);
}

// Puts the sums of up to 32 outputs of some rows on y.
struct Finisher {
  const ExpandTask& task;
  const BFloat16* out_scale;
  const BFloat16* bias;

  template <bool kOutScale, bool kBias>
  DJL_LORA_INLINE __m512 Value(__m512 y, __m512 sum, __m512 scale, __m512 add) const {
    __m512 value = _mm512_add_ps(y, sum);
    if (kOutScale) {
      value = _mm512_mul_ps(value, scale);
    }
    if (kBias) {
      value = _mm512_add_ps(value, add);
    }
    return value;
  }

  template <bool kOutScale, bool kBias>
  DJL_LORA_INLINE void Run(const float* sums, int64_t token, int64_t tokens, int64_t column, int64_t n) const {
    using V = Avx512;
    const __mmask16 low = V::Mask(n);
    const __mmask16 high = V::Mask(n > kLanes ? n - kLanes : 0);
    const auto load = [](const BFloat16* p, __mmask16 mask) { return V::Widen(_mm256_maskz_loadu_epi16(mask, p)); };
    const __m512 scale0 = kOutScale ? load(out_scale + column, low) : V::Zero();
    const __m512 scale1 = kOutScale ? load(out_scale + column + kLanes, high) : V::Zero();
    const __m512 bias0 = kBias ? load(bias + column, low) : V::Zero();
    const __m512 bias1 = kBias ? load(bias + column + kLanes, high) : V::Zero();
    const __mmask32 both = static_cast<__mmask32>(low) | static_cast<__mmask32>(high) << 16;
    BFloat16* y = static_cast<BFloat16*>(task.y) + token * task.y_stride + column;
    for (int64_t t = 0; t < tokens; ++t, y += task.y_stride, sums += 2 * kLanes) {
      const __m512i before = _mm512_maskz_loadu_epi16(both, y);
      const __m512 y0 = V::Widen(_mm512_castsi512_si256(before));
      const __m512 y1 = V::Widen(_mm512_extracti64x4_epi64(before, 1));
      const __m512 value0 = Value<kOutScale, kBias>(y0, _mm512_load_ps(sums), scale0, bias0);
      const __m512 value1 = Value<kOutScale, kBias>(y1, _mm512_load_ps(sums + kLanes), scale1, bias1);
      _mm512_mask_storeu_epi16(y, both, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(value1, value0)));
    }
  }

  DJL_LORA_INLINE void Run(const float* sums, int64_t token, int64_t tokens, int64_t column, int64_t n) const {
    if (out_scale != nullptr) {
      if (bias != nullptr) {
        Run<true, true>(sums, token, tokens, column, n);
      } else {
        Run<true, false>(sums, token, tokens, column, n);
      }
    } else if (bias != nullptr) {
      Run<false, true>(sums, token, tokens, column, n);
    } else {
      Run<false, false>(sums, token, tokens, column, n);
    }
  }
};

void TileExpand(const ExpandTask& task) {
  const Finisher finisher{task, static_cast<const BFloat16*>(task.out_scale), static_cast<const BFloat16*>(task.bias)};
  const int64_t end = task.first + task.outputs;
  // Two blocks of sums: while one is on its way from the tiles to memory the one before goes to y.
  alignas(64) float sums[2][kTileRows * 2 * kLanes] = {};
  for (int64_t token = 0; token < task.tokens; token += kTileRows) {
    const int64_t tokens = task.tokens - token < kTileRows ? task.tokens - token : kTileRows;
    if (task.part_count == 1) {
      Configure(tokens, task.parts[0].rank);
    }
    int64_t block = 0;
    for (int64_t o = task.first; o < end; o += 2 * kLanes, block ^= 1) {
      const int64_t tiles = end - o > kLanes ? 2 : 1;
      for (int64_t p = 0; p < task.part_count; ++p) {
        if (task.part_count > 1) {
          Configure(tokens, task.parts[p].rank);
        }
        AccumulateTiles(task.parts[p], o / kLanes, tiles, token, tokens, p == 0, sums[block]);
      }
      if (o > task.first) {
        finisher.Run(sums[block ^ 1], token, tokens, o - 2 * kLanes, 2 * kLanes);
      }
    }
    const int64_t last = task.first + (task.outputs - 1) / (2 * kLanes) * (2 * kLanes);
    finisher.Run(sums[block ^ 1], token, tokens, last, end - last);
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
                                     kMostTokens,
                                     Attend<Avx512, BFloat16, BFloat16>,
                                     Attend<Avx512, BFloat16, int8_t>,
                                     Avx512::kAttendRows,
                                     RmsNormRow<Avx512, BFloat16>,
                                     SiluMul<Avx512, BFloat16>,
                                     PackRows,
                                     TileLinear};
  return &kSet;
}

}  // namespace djl_lora
