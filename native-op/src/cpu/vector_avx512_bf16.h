// SPDX-License-Identifier: Apache-2.0
//
// 16 floats with AVX-512 and its bfloat16 instructions. Only for files compiled for them.
#ifndef DJL_LORA_CPU_VECTOR_AVX512_BF16_H_
#define DJL_LORA_CPU_VECTOR_AVX512_BF16_H_

#include "cpu/vector_avx512.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

// bfloat16 pairs multiplied as pairs. The intermediate is split in two bfloat16 numbers, which together keep 16 of its
// 24 bits; subnormal numbers count as zero in these instructions.
struct Avx512Bf16 : Avx512 {
  using Pairs = __m512bh;
  struct Pair {
    __m512bh high;
    __m512bh low;
  };

  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
  }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p, int64_t n) {
    return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), p));
  }
  static DJL_LORA_INLINE Vec DotPairs(Pairs a, Pairs b, Vec sum) { return _mm512_dpbf16_ps(sum, a, b); }
  static DJL_LORA_INLINE Pairs Two(const BFloat16* p) {
    int bits;
    __builtin_memcpy(&bits, p, sizeof(bits));
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
  }
  static DJL_LORA_INLINE Pair LoadPair(const float* h, int64_t r, int64_t columns) {
    const BFloat16* split = reinterpret_cast<const BFloat16*>(h);
    return {Two(split + r), Two(split + columns + r)};
  }
  static DJL_LORA_INLINE Vec MulAddPair(Pairs b, const Pair& h, Vec sum) {
    return _mm512_dpbf16_ps(_mm512_dpbf16_ps(sum, b, h.high), b, h.low);
  }
};

inline void FinishSplit(const FinishTask& task) {
  const __mmask16 rows = Avx512::Mask(task.rows);
  const int64_t columns = RoundUpToEven(task.rank);
  const __mmask16 written =
      Avx512::Mask(task.first_row + task.rows == task.rank ? RoundUpToEven(task.rows) : task.rows);
  const __m512 factors = _mm512_maskz_loadu_ps(rows, task.factors);
  for (int64_t t = 0; t < task.tokens; ++t) {
    const __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(rows, task.dots + t * kChunkRows), factors);
    const __m256i high = Avx512::ToBFloat16(value);
    const __m512 rest = _mm512_sub_ps(value, Avx512::Widen(high));
    // infinity less infinity is no number, and what is too large has no remainder
    const __mmask16 number = _mm512_cmp_ps_mask(rest, rest, _CMP_ORD_Q);
    const __m256i low = Avx512::ToBFloat16(_mm512_maskz_mov_ps(number, rest));
    BFloat16* split = reinterpret_cast<BFloat16*>(task.h + t * task.h_stride) + task.first_row;
    _mm256_mask_storeu_epi16(split, written, high);
    _mm256_mask_storeu_epi16(split + columns, written, low);
  }
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_VECTOR_AVX512_BF16_H_
