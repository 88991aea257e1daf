// SPDX-License-Identifier: Apache-2.0
#include "cpu/element.h"

#include <cmath>
#include <limits>

#include "support.h"

namespace djl_lora {
namespace {

template <typename T>
class HalfTest : public testing::Test {};

using HalfTypes = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfTest, HalfTypes);

std::vector<float> Convert(const Tensor& tensor) {
  const TensorInfo info = Describe("test", "tensor", tensor.get());
  return Values<float>(ContiguousCopy(tensor.get(), {info.sizes, info.sizes + info.dim}, ElementType::kFloat32));
}

TYPED_TEST(HalfTest, WidensEveryValueAsLibtorchDoes) {
  std::vector<TypeParam> all(65536);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].bits = static_cast<uint16_t>(i);
  }
  const std::vector<float> expected = Convert(MakeTensor(all));
  for (size_t i = 0; i < all.size(); ++i) {
    const float actual = ToFloat(all[i]);
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual)) << i;
    } else {
      EXPECT_EQ(FloatBits(expected[i]), FloatBits(actual)) << i;
    }
  }
}

TYPED_TEST(HalfTest, RoundsAsLibtorchDoes) {
  // Every value, what lies halfway to the next, and the neighbours of both.
  std::vector<float> values;
  for (uint32_t i = 0; i < 65536; ++i) {
    const float value = ToFloat(TypeParam{static_cast<uint16_t>(i)});
    const float next = ToFloat(TypeParam{static_cast<uint16_t>(i + 1)});
    for (const float base : {value, value + (next - value) / 2}) {
      if (std::isfinite(base)) {
        values.push_back(base);
        values.push_back(std::nextafter(base, std::numeric_limits<float>::infinity()));
        values.push_back(std::nextafter(base, -std::numeric_limits<float>::infinity()));
      }
    }
  }
  for (const float value : {65504.0f, 65519.0f, 65520.0f, 1e30f, -1e30f, std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(), 1e-45f}) {
    values.push_back(value);
  }
  const Tensor source = MakeTensor(values);
  const std::vector<TypeParam> expected = Values<TypeParam>(
      ContiguousCopy(source.get(), {static_cast<int64_t>(values.size())}, ElementTraits<TypeParam>::kType));
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(expected[i].bits, FromFloat<TypeParam>(values[i]).bits) << values[i];
  }
}

TYPED_TEST(HalfTest, KeepsNaN) {
  for (const uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_TRUE(std::isnan(ToFloat(FromFloat<TypeParam>(BitsFloat(bits))))) << bits;
  }
}

}  // namespace
}  // namespace djl_lora
