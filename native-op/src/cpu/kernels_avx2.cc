// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "cpu/kernels_impl.h"

namespace djl_lora {

namespace {

struct Avx2 {
  struct Vec {
    __m256 low;
    __m256 high;
  };
  struct Pairs {
    Vec even;
    Vec odd;
  };
  using Pair = Pairs;

  static constexpr int kDotRows = 4;
  static constexpr int kDotTokens = 1;
  static constexpr int kExpandTiles = 2;
  static constexpr int kExpandTokens = 2;
  static constexpr int kAttendRows = 4;

  static DJL_LORA_INLINE Vec Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static DJL_LORA_INLINE Vec Set(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static DJL_LORA_INLINE Vec Add(Vec a, Vec b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static DJL_LORA_INLINE Vec Mul(Vec a, Vec b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static DJL_LORA_INLINE Vec MulAdd(Vec a, Vec b, Vec c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }

  static DJL_LORA_INLINE __m256i Bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static DJL_LORA_INLINE __m128i HalfBytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static DJL_LORA_INLINE __m256 Widen(__m128i bfloat16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bfloat16), 16));
  }
  static DJL_LORA_INLINE __m256 WidenInt8(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)); }

  static DJL_LORA_INLINE Vec Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static DJL_LORA_INLINE Vec Load(const BFloat16* p) { return {Widen(HalfBytes(p)), Widen(HalfBytes(p + 8))}; }
  static DJL_LORA_INLINE Vec Load(const Float16* p) {
    return {_mm256_cvtph_ps(HalfBytes(p)), _mm256_cvtph_ps(HalfBytes(p + 8))};
  }
  static DJL_LORA_INLINE Vec Load(const int8_t* p) {
    const __m128i bytes = HalfBytes(p);
    return {WidenInt8(bytes), WidenInt8(_mm_unpackhi_epi64(bytes, bytes))};
  }
  template <typename T>
  static DJL_LORA_INLINE Vec Load(const T* p, int64_t n) {
    T values[16] = {};
    for (int64_t i = 0; i < n && i < 16; ++i) {
      values[i] = p[i];
    }
    return Load(values);
  }

  static DJL_LORA_INLINE __m128i ToBFloat16(__m256 value) {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    const __m256i result = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1));
  }
  static DJL_LORA_INLINE void Store(float* p, Vec value) {
    _mm256_storeu_ps(p, value.low);
    _mm256_storeu_ps(p + 8, value.high);
  }
  static DJL_LORA_INLINE void Store(BFloat16* p, Vec value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), ToBFloat16(value.low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), ToBFloat16(value.high));
  }
  static DJL_LORA_INLINE void Store(Float16* p, Vec value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(value.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(value.high, _MM_FROUND_TO_NEAREST_INT));
  }
  template <typename T>
  static DJL_LORA_INLINE void Store(T* p, Vec value, int64_t n) {
    T values[16];
    Store(values, value);
    for (int64_t i = 0; i < n && i < 16; ++i) {
      p[i] = values[i];
    }
  }

  static DJL_LORA_INLINE Pairs Split(__m256i low, __m256i high) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    return {{_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))},
            {_mm256_castsi256_ps(_mm256_and_si256(low, mask)), _mm256_castsi256_ps(_mm256_and_si256(high, mask))}};
  }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p) { return Split(Bytes(p), Bytes(p + 16)); }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p, int64_t n) {
    BFloat16 values[32] = {};
    for (int64_t i = 0; i < n && i < 32; ++i) {
      values[i] = p[i];
    }
    return LoadPairs(values);
  }
  static DJL_LORA_INLINE Vec DotPairs(const Pairs& a, const Pairs& b, Vec sum) {
    return MulAdd(a.odd, b.odd, MulAdd(a.even, b.even, sum));
  }
  static DJL_LORA_INLINE Pair LoadPair(const float* h, int64_t r, int64_t) { return {Set(h[r]), Set(h[r + 1])}; }
  static DJL_LORA_INLINE Vec MulAddPair(const Pairs& b, const Pair& h, Vec sum) { return DotPairs(b, h, sum); }

  // The same tree as with AVX-512.
  static DJL_LORA_INLINE __m256 Quarters(__m256 a, __m256 b, __m256 c, __m256 d) {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    return _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  }
  static DJL_LORA_INLINE void Sum4(Vec a, Vec b, Vec c, Vec d, float* sums) {
    const __m256 halves = _mm256_add_ps(Quarters(a.low, b.low, c.low, d.low), Quarters(a.high, b.high, c.high, d.high));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

}  // namespace

const KernelSet* Avx2Kernels() {
  static constexpr KernelSet kSets[] = {MakeKernels<Avx2, float>(), MakeKernels<Avx2, Float16>(),
                                        MakeKernels<Avx2, BFloat16>()};
  return kSets;
}

}  // namespace djl_lora
