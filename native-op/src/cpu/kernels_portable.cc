// SPDX-License-Identifier: Apache-2.0
#include "cpu/kernels_impl.h"

namespace djl_lora {

namespace {

// Loops of a fixed length, which any compiler turns into what vectors its target has.
struct Portable {
  struct Vec {
    float lanes[16];
  };
  struct Pairs {
    Vec even;
    Vec odd;
  };
  using Pair = Pairs;

  static constexpr int kDotRows = 1;
  static constexpr int kDotTokens = 1;
  static constexpr int kExpandTiles = 1;
  static constexpr int kExpandTokens = 1;
  static constexpr int kAttendRows = 4;

  static DJL_LORA_INLINE Vec Zero() { return Vec{}; }
  static DJL_LORA_INLINE Vec Set(float value) {
    Vec result;
    for (float& lane : result.lanes) {
      lane = value;
    }
    return result;
  }
  static DJL_LORA_INLINE Vec Add(Vec a, const Vec& b) {
    for (int i = 0; i < 16; ++i) {
      a.lanes[i] += b.lanes[i];
    }
    return a;
  }
  static DJL_LORA_INLINE Vec Mul(Vec a, const Vec& b) {
    for (int i = 0; i < 16; ++i) {
      a.lanes[i] *= b.lanes[i];
    }
    return a;
  }
  static DJL_LORA_INLINE Vec MulAdd(const Vec& a, const Vec& b, Vec c) {
    for (int i = 0; i < 16; ++i) {
      c.lanes[i] += a.lanes[i] * b.lanes[i];
    }
    return c;
  }
  static DJL_LORA_INLINE float Wide(int8_t value) { return static_cast<float>(value); }
  static DJL_LORA_INLINE float Wide(float value) { return value; }
  static DJL_LORA_INLINE float Wide(BFloat16 value) { return ToFloat(value); }
  static DJL_LORA_INLINE float Wide(Float16 value) { return ToFloat(value); }
  template <typename T>
  static DJL_LORA_INLINE Vec Load(const T* p) {
    Vec result;
    for (int i = 0; i < 16; ++i) {
      result.lanes[i] = Wide(p[i]);
    }
    return result;
  }
  template <typename T>
  static DJL_LORA_INLINE Vec Load(const T* p, int64_t n) {
    Vec result{};
    for (int64_t i = 0; i < n && i < 16; ++i) {
      result.lanes[i] = Wide(p[i]);
    }
    return result;
  }
  template <typename T>
  static DJL_LORA_INLINE void Store(T* p, const Vec& value, int64_t n = 16) {
    for (int64_t i = 0; i < n && i < 16; ++i) {
      p[i] = FromFloat<T>(value.lanes[i]);
    }
  }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p) {
    Pairs result;
    for (int64_t i = 0; i < 16; ++i) {
      result.even.lanes[i] = ToFloat(p[2 * i]);
      result.odd.lanes[i] = ToFloat(p[2 * i + 1]);
    }
    return result;
  }
  static DJL_LORA_INLINE Pairs LoadPairs(const BFloat16* p, int64_t n) {
    BFloat16 values[32] = {};
    for (int64_t i = 0; i < n && i < 32; ++i) {
      values[i] = p[i];
    }
    return LoadPairs(values);
  }
  static DJL_LORA_INLINE Vec DotPairs(const Pairs& a, const Pairs& b, const Vec& sum) {
    return MulAdd(a.odd, b.odd, MulAdd(a.even, b.even, sum));
  }
  static DJL_LORA_INLINE Pair LoadPair(const float* h, int64_t r, int64_t) { return {Set(h[r]), Set(h[r + 1])}; }
  static DJL_LORA_INLINE Vec MulAddPair(const Pairs& b, const Pair& h, const Vec& sum) { return DotPairs(b, h, sum); }

  static DJL_LORA_INLINE float Sum(const Vec& a) {
    float quarters[4];
    for (int64_t q = 0; q < 4; ++q) {
      const float* lanes = a.lanes + 4 * q;
      quarters[q] = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    }
    return (quarters[0] + quarters[2]) + (quarters[1] + quarters[3]);
  }
  static DJL_LORA_INLINE void Sum4(const Vec& a, const Vec& b, const Vec& c, const Vec& d, float* sums) {
    sums[0] = Sum(a);
    sums[1] = Sum(b);
    sums[2] = Sum(c);
    sums[3] = Sum(d);
  }
};

}  // namespace

const KernelSet* PortableKernels() {
  static constexpr KernelSet kSets[] = {MakeKernels<Portable, float>(), MakeKernels<Portable, Float16>(),
                                        MakeKernels<Portable, BFloat16>()};
  return kSets;
}

}  // namespace djl_lora
