// SPDX-License-Identifier: Apache-2.0
//
// The kernel against a plain double-precision version of its formula.
#include <cmath>
#include <memory>

#include "cpu/sgmv_cpu.h"
#include "support.h"

namespace djl_lora {
namespace {

template <typename T>
struct Module {
  std::vector<T> a;
  std::vector<T> b;
  std::vector<T> out_scale;
  std::vector<T> bias;
  AdapterModule view;
};

// A whole problem with the memory that it points to.
template <typename T>
class Case {
 public:
  Case(int64_t in, int64_t out, int64_t gap, std::mt19937* random)
      : random_(random), in_(in), out_(out), x_stride_(in + gap), y_stride_(out + gap) {}

  // Rows without an adapter for a rank below 0.
  void Segment(int64_t tokens, int64_t rank, bool out_scale = false, bool bias = false) {
    const AdapterModule* view = nullptr;
    if (rank >= 0) {
      auto module = std::make_unique<Module<T>>();
      module->a = Random<T>(random_, rank * in_);
      module->b = Random<T>(random_, out_ * rank);
      module->view.rank = rank;
      module->view.scale = 0.37f;
      module->view.a = module->a.data();
      module->view.b = module->b.data();
      if (out_scale) {
        module->out_scale = Random<T>(random_, out_);
        module->view.out_scale = module->out_scale.data();
      }
      if (bias) {
        module->bias = Random<T>(random_, out_);
        module->view.bias = module->bias.data();
      }
      view = &module->view;
      modules_.push_back(std::move(module));
    }
    segments_.push_back({tokens_, tokens_ + tokens, view});
    tokens_ += tokens;
  }

  void Bias() { bias_ = Random<T>(random_, out_); }

  void Fill() {
    x_ = Random<T>(random_, tokens_ * x_stride_);
    y_ = Random<T>(random_, tokens_ * y_stride_);
  }

  std::vector<T> Run(int threads) const {
    std::vector<T> y = y_;
    SgmvCpu({ElementTraits<T>::kType, in_, out_, x_.data(), x_stride_, y.data(), y_stride_,
             bias_.empty() ? nullptr : bias_.data(), segments_.data(), static_cast<int64_t>(segments_.size())},
            threads);
    return y;
  }

  // Every output must be within the error that float32 sums can make (a rounding for each of their terms, times the sum
  // of the terms' magnitudes), and one rounding to the element type. What lies between rows must be as it was.
  void Check(const std::vector<T>& actual) const {
    for (const SgmvSegment& segment : segments_) {
      static const AdapterModule kBase;
      const AdapterModule& module = segment.module == nullptr ? kBase : *segment.module;
      for (int64_t t = segment.begin; t < segment.end; ++t) {
        for (int64_t o = 0; o < out_; ++o) {
          CheckOne(module, t, o, ToFloat(actual[t * y_stride_ + o]));
        }
      }
    }
    for (int64_t t = 0; t < tokens_; ++t) {
      const size_t from = static_cast<size_t>(t * y_stride_ + out_);
      const size_t bytes = static_cast<size_t>(y_stride_ - out_) * sizeof(T);
      ASSERT_EQ(0, std::memcmp(actual.data() + from, y_.data() + from, bytes)) << "the gap after row " << t;
    }
  }

 private:
  static double At(const void* data, int64_t index) { return ToFloat(static_cast<const T*>(data)[index]); }

  void CheckOne(const AdapterModule& module, int64_t t, int64_t o, double actual) const {
    double value = At(y_.data(), t * y_stride_ + o);
    double magnitude = std::abs(value);
    for (int64_t r = 0; r < module.rank; ++r) {
      double down = 0.0;
      double down_magnitude = 0.0;
      for (int64_t i = 0; i < in_; ++i) {
        const double term = At(module.a, r * in_ + i) * At(x_.data(), t * x_stride_ + i);
        down += term;
        down_magnitude += std::abs(term);
      }
      const double b = At(module.b, o * module.rank + r);
      value += module.scale * b * down;
      magnitude += std::abs(module.scale * b) * down_magnitude;
    }
    if (module.out_scale != nullptr) {
      value *= At(module.out_scale, o);
      magnitude *= std::abs(At(module.out_scale, o));
    }
    const void* bias = module.bias == nullptr ? (bias_.empty() ? nullptr : bias_.data()) : module.bias;
    if (bias != nullptr) {
      value += At(bias, o);
      magnitude += std::abs(At(bias, o));
    }
    const double sums = static_cast<double>(in_ + module.rank + 4) * 0x1p-24 * magnitude;
    const double rounding = (std::abs(value) + sums) * ElementTraits<T>::kHalfUlp + ElementTraits<T>::kTiny;
    ASSERT_NEAR(value, actual, sums + rounding) << "row " << t << ", output " << o;
  }

  std::mt19937* random_;
  int64_t in_;
  int64_t out_;
  int64_t x_stride_;
  int64_t y_stride_;
  int64_t tokens_ = 0;
  std::vector<std::unique_ptr<Module<T>>> modules_;
  std::vector<SgmvSegment> segments_;
  std::vector<T> x_;
  std::vector<T> y_;
  std::vector<T> bias_;
};

template <typename T>
class SgmvTest : public testing::Test {
 protected:
  std::mt19937 random_{20231028};
};

using Types = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(SgmvTest, Types);

TYPED_TEST(SgmvTest, AgreesWithTheFormulaOverRandomShapes) {
  constexpr int64_t kRanks[] = {-1, 0, 1, 3, 8, 16, 64};
  for (int round = 0; round < 60; ++round) {
    Case<TypeParam> test(Between(&this->random_, 1, 150), Between(&this->random_, 1, 200),
                         Between(&this->random_, 0, 5), &this->random_);
    const int64_t segments = Between(&this->random_, 0, 6);
    for (int64_t s = 0; s < segments; ++s) {
      test.Segment(Between(&this->random_, 0, 5), kRanks[Between(&this->random_, 0, 6)],
                   Between(&this->random_, 0, 1) == 1, Between(&this->random_, 0, 1) == 1);
    }
    if (Between(&this->random_, 0, 1) == 1) {
      test.Bias();
    }
    test.Fill();
    test.Check(test.Run(1 + round % 4));
    if (testing::Test::HasFatalFailure()) {
      FAIL() << "in round " << round;
    }
  }
}

TYPED_TEST(SgmvTest, SpreadsOverThreadsWithTheSameBits) {
  // Large enough that every thread gets a share (UsefulThreads), with segments that cross the shares' edges.
  Case<TypeParam> test(257, 515, 3, &this->random_);
  test.Segment(3, 16);
  test.Segment(2, -1);
  test.Segment(0, 8);
  test.Segment(9, 64, true, true);
  test.Segment(1, 0, true);
  test.Segment(2, 3, false, true);
  test.Bias();
  test.Fill();
  const std::vector<TypeParam> one = test.Run(1);
  test.Check(one);
  for (const int threads : {2, 3, 4, 7}) {
    const std::vector<TypeParam> many = test.Run(threads);
    EXPECT_EQ(0, std::memcmp(one.data(), many.data(), one.size() * sizeof(TypeParam))) << threads << " threads";
  }
}

TYPED_TEST(SgmvTest, GivesARowTheSameBitsInAnyBatch) {
  constexpr int64_t kIn = 100;
  constexpr int64_t kOut = 130;
  constexpr int64_t kRank = 5;
  constexpr int64_t kTokens = 6;
  const auto a = Random<TypeParam>(&this->random_, kRank * kIn);
  const auto b = Random<TypeParam>(&this->random_, kOut * kRank);
  const auto x = Random<TypeParam>(&this->random_, kTokens * kIn);
  const auto base = Random<TypeParam>(&this->random_, kTokens * kOut);
  AdapterModule module;
  module.rank = kRank;
  module.a = a.data();
  module.b = b.data();
  module.scale = 2.0f;
  const SgmvSegment whole{0, kTokens, &module};
  std::vector<TypeParam> together = base;
  const ElementType type = ElementTraits<TypeParam>::kType;
  SgmvCpu({type, kIn, kOut, x.data(), kIn, together.data(), kOut, nullptr, &whole, 1}, 2);
  std::vector<TypeParam> alone = base;
  for (int64_t t = 0; t < kTokens; ++t) {
    const SgmvSegment one{0, 1, &module};
    SgmvCpu({type, kIn, kOut, x.data() + t * kIn, kIn, alone.data() + t * kOut, kOut, nullptr, &one, 1}, 1);
  }
  EXPECT_EQ(0, std::memcmp(together.data(), alone.data(), together.size() * sizeof(TypeParam)));
}

TYPED_TEST(SgmvTest, LeavesBaseRowsWithoutBiasAsTheyAre) {
  // NaN payloads and signed zeros too: the bytes are not touched.
  std::vector<TypeParam> y(70);
  std::memset(static_cast<void*>(y.data()), 0xff, y.size() * sizeof(TypeParam));
  const std::vector<TypeParam> before = y;
  const std::vector<TypeParam> x(20);
  const SgmvSegment base{0, 2, nullptr};
  SgmvCpu({ElementTraits<TypeParam>::kType, 10, 35, x.data(), 10, y.data(), 35, nullptr, &base, 1}, 2);
  EXPECT_EQ(0, std::memcmp(before.data(), y.data(), y.size() * sizeof(TypeParam)));
}

TYPED_TEST(SgmvTest, LetsNaNThroughToItsRowAlone) {
  std::vector<TypeParam> x = Random<TypeParam>(&this->random_, 2 * 9);
  x[4] = FromFloat<TypeParam>(std::nanf(""));
  const auto a = Random<TypeParam>(&this->random_, 2 * 9);
  const auto b = Random<TypeParam>(&this->random_, 3 * 2);
  AdapterModule module;
  module.rank = 2;
  module.a = a.data();
  module.b = b.data();
  module.scale = 1.0f;
  std::vector<TypeParam> y = Random<TypeParam>(&this->random_, 2 * 3);
  const SgmvSegment segment{0, 2, &module};
  SgmvCpu({ElementTraits<TypeParam>::kType, 9, 3, x.data(), 9, y.data(), 3, nullptr, &segment, 1}, 1);
  for (int64_t o = 0; o < 3; ++o) {
    EXPECT_TRUE(std::isnan(ToFloat(y[o])));
    EXPECT_FALSE(std::isnan(ToFloat(y[3 + o])));
  }
}

}  // namespace
}  // namespace djl_lora
