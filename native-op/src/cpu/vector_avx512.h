// SPDX-License-Identifier: Apache-2.0
//
// 16 floats with AVX-512 (F, BW, DQ, VL). Only for files compiled for it.
#ifndef DJL_LORA_CPU_VECTOR_AVX512_H_
#define DJL_LORA_CPU_VECTOR_AVX512_H_

#include <immintrin.h>

#include "cpu/kernels_impl.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

struct Avx512 {
  using Vec = __m512;
  struct Pairs {
    __m512 even;
    __m512 odd;
  };
  using Pair = Pairs;

  static constexpr int kDotRows = 4;
  static constexpr int kDotTokens = 4;
  static constexpr int kExpandTiles = 4;
  static constexpr int kExpandTokens = 4;
  static constexpr int kAttendRows = 16;

  static DJL_LORA_INLINE __mmask16 Mask(int64_t n) {
    return n >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << n) - 1);
  }

  static DJL_LORA_INLINE Vec Zero() { return _mm512_setzero_ps(); }
  static DJL_LORA_INLINE Vec Set(float value) { return _mm512_set1_ps(value); }
  static DJL_LORA_INLINE Vec Add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static DJL_LORA_INLINE Vec Mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static DJL_LORA_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }

  static DJL_LORA_INLINE Vec Widen(__m256i bfloat16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16));
  }

  static DJL_LORA_INLINE Vec Load(const float* p) { return _mm512_loadu_ps(p); }
  static DJL_LORA_INLINE Vec Load(const BFloat16* p) {
    return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static DJL_LORA_INLINE Vec Load(const Float16* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static DJL_LORA_INLINE Vec Load(const int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static DJL_LORA_INLINE Vec Load(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(Mask(n), p); }
  static DJL_LORA_INLINE Vec Load(const BFloat16* p, int64_t n) { return Widen(_mm256_maskz_loadu_epi16(Mask(n), p)); }
  static DJL_LORA_INLINE Vec Load(const Float16* p, int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(Mask(n), p));
  }
  static DJL_LORA_INLINE Vec Load(const int8_t* p, int64_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(Mask(n), p)));
  }

  // Rounds to nearest even; NaN stays NaN.
  static DJL_LORA_INLINE __m256i ToBFloat16(Vec value) {
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
  }
  static DJL_LORA_INLINE void Store(float* p, Vec value) { _mm512_storeu_ps(p, value); }
  static DJL_LORA_INLINE void Store(BFloat16* p, Vec value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), ToBFloat16(value));
  }
  static DJL_LORA_INLINE void Store(Float16* p, Vec value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  static DJL_LORA_INLINE void Store(float* p, Vec value, int64_t n) { _mm512_mask_storeu_ps(p, Mask(n), value); }
  static DJL_LORA_INLINE void Store(BFloat16* p, Vec value, int64_t n) {
    _mm256_mask_storeu_epi16(p, Mask(n), ToBFloat16(value));
  }
  static DJL_LORA_INLINE void Store(Float16* p, Vec value, int64_t n) {
    _mm256_mask_storeu_epi16(p, Mask(n), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }

  static DJL_LORA_INLINE Pairs Split(__m512i pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
  }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p) { return Split(_mm512_loadu_si512(p)); }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p, int64_t n) {
    return Split(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), p));
  }
  static DJL_LORA_INLINE Vec DotPairs(const Pairs& a, const Pairs& b, Vec sum) {
    return MulAdd(a.odd, b.odd, MulAdd(a.even, b.even, sum));
  }
  static DJL_LORA_INLINE Pair LoadPair(const float* h, int64_t r, int64_t) { return {Set(h[r]), Set(h[r + 1])}; }
  static DJL_LORA_INLINE Vec MulAddPair(const Pairs& b, const Pair& h, Vec sum) { return DotPairs(b, h, sum); }

  // The sums of the lanes of four vectors: lanes i and i + 2, then i and i + 1 of each quarter, then quarters 0 and 2
  // with 1 and 3.
  static DJL_LORA_INLINE void Sum4(Vec a, Vec b, Vec c, Vec d, float* sums) {
    const Vec ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const Vec cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const Vec quarters = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_VECTOR_AVX512_H_
