// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "cpu/layers_cpu.h"
#include "support.h"

namespace djl_lora {
namespace {

template <typename T>
class LayersTest : public testing::Test {
 protected:
  std::mt19937 random_{19101007};
};

using Types = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(LayersTest, Types);

TYPED_TEST(LayersTest, RmsNormAgreesWithDoublePrecision) {
  for (const int64_t size : {1, 7, 16, 100, 1024}) {
    constexpr int64_t kRows = 40;
    auto x = Random<TypeParam>(&this->random_, kRows * size, 3.0f);
    const auto weight = Random<TypeParam>(&this->random_, size);
    std::vector<TypeParam> result(x.size());
    std::vector<TypeParam> threaded(x.size());
    const ElementType type = ElementTraits<TypeParam>::kType;
    RmsNormCpu({type, kRows, size, x.data(), nullptr, weight.data(), 1e-5, result.data()}, 1);
    RmsNormCpu({type, kRows, size, x.data(), nullptr, weight.data(), 1e-5, threaded.data()}, 4);
    EXPECT_EQ(0, std::memcmp(result.data(), threaded.data(), result.size() * sizeof(TypeParam)));
    for (int64_t row = 0; row < kRows; ++row) {
      double squares = 0.0;
      for (int64_t i = 0; i < size; ++i) {
        squares += std::pow(static_cast<double>(ToFloat(x[row * size + i])), 2);
      }
      const double factor = 1.0 / std::sqrt(squares / static_cast<double>(size) + 1e-5);
      for (int64_t i = 0; i < size; ++i) {
        const double expected = ToFloat(weight[i]) * (ToFloat(x[row * size + i]) * factor);
        // Two roundings to the type, and the float32 mean's error, which the root halves.
        const double relative = 2.1 * ElementTraits<TypeParam>::kHalfUlp + static_cast<double>(size + 8) * 0x1p-24;
        ASSERT_NEAR(expected, ToFloat(result[row * size + i]),
                    std::abs(expected) * relative + 6 * ElementTraits<TypeParam>::kTiny)
            << "row " << row << ", " << i << " of " << size;
      }
    }
  }
}

TYPED_TEST(LayersTest, RmsNormRoundsBeforeItMultipliesWithTheWeight) {
  // 1/3 of the root mean square of (1, ...): the rounding of the normalised value shows after a weight of 3.
  const std::vector<float> plain = {1.0f, 2.0f, 2.0f};
  std::vector<TypeParam> x;
  for (const float value : plain) {
    x.push_back(FromFloat<TypeParam>(value));
  }
  const std::vector<TypeParam> weight(3, FromFloat<TypeParam>(3.0f));
  std::vector<TypeParam> result(3);
  RmsNormCpu({ElementTraits<TypeParam>::kType, 1, 3, x.data(), nullptr, weight.data(), 0.0, result.data()}, 1);
  const float factor = 1.0f / std::sqrt(3.0f);
  for (size_t i = 0; i < 3; ++i) {
    const float normalised = ToFloat(FromFloat<TypeParam>(plain[i] * factor));
    EXPECT_EQ(ToFloat(FromFloat<TypeParam>(3.0f * normalised)), ToFloat(result[i]));
  }
}

TYPED_TEST(LayersTest, RotaryTurnsHalvesOfStridedHeads) {
  constexpr int64_t kTokens = 33;
  constexpr int64_t kHeads = 5;
  constexpr int64_t kHalf = 12;
  constexpr int64_t kHeadStride = 2 * kHalf + 3;
  constexpr int64_t kTokenStride = kHeads * kHeadStride + 2;
  const auto before = Random<TypeParam>(&this->random_, kTokens * kTokenStride);
  const auto cos = Random<float>(&this->random_, kTokens * kHalf);
  const auto sin = Random<float>(&this->random_, kTokens * kHalf);
  for (const int threads : {1, 4}) {
    auto x = before;
    RotaryCpu({ElementTraits<TypeParam>::kType, kTokens, kHeads, kHalf, x.data(), kTokenStride, kHeadStride, cos.data(),
               kHalf, sin.data(), kHalf},
              threads);
    auto expected = before;
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t h = 0; h < kHeads; ++h) {
        for (int64_t i = 0; i < kHalf; ++i) {
          const int64_t first = t * kTokenStride + h * kHeadStride + i;
          const float x1 = ToFloat(before[first]);
          const float x2 = ToFloat(before[first + kHalf]);
          const float c = cos[t * kHalf + i];
          const float s = sin[t * kHalf + i];
          expected[first] = FromFloat<TypeParam>(x1 * c - x2 * s);
          expected[first + kHalf] = FromFloat<TypeParam>(x2 * c + x1 * s);
        }
      }
    }
    EXPECT_EQ(0, std::memcmp(expected.data(), x.data(), x.size() * sizeof(TypeParam)));
  }
}

}  // namespace
}  // namespace djl_lora
