// SPDX-License-Identifier: Apache-2.0
//
// The kernels of every instruction set that this machine has, against a plain double-precision version of the formula.
#include <cmath>
#include <memory>

#include "cpu/sgmv_cpu.h"
#include "sgmv_case.h"

namespace djl_lora {
namespace {

template <typename T>
bool SameBits(const std::vector<std::vector<T>>& a, const std::vector<std::vector<T>>& b) {
  for (size_t g = 0; g < a.size(); ++g) {
    // where a case has no rows there is no data to compare
    if (!a[g].empty() && std::memcmp(a[g].data(), b[g].data(), a[g].size() * sizeof(T)) != 0) {
      return false;
    }
  }
  return true;
}

template <typename T>
class SgmvTest : public testing::Test {
 protected:
  bool Chance(int64_t one_in) { return Between(&random_, 1, one_in) == 1; }

  int64_t Rank() {
    constexpr int64_t kRanks[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 33, 64};
    return kRanks[Between(&random_, 0, 12)];
  }

  // Any mix of adapters, stacks and base rows, over one to four outputs.
  std::unique_ptr<SgmvCase<T>> RandomCase() {
    const size_t outputs = Chance(2) ? 1 : static_cast<size_t>(Between(&random_, 2, kMaxGroup));
    const int64_t widest = Chance(10) ? 1200 : 130;
    std::vector<int64_t> outs;
    for (size_t g = 0; g < outputs; ++g) {
      outs.push_back(Between(&random_, 1, widest));
    }
    auto test = std::make_unique<SgmvCase<T>>(Between(&random_, 1, 150), outs, Between(&random_, 0, 5), &random_);
    std::vector<size_t> plain;  // may be stacked
    std::vector<size_t> all;
    for (int64_t i = Between(&random_, 1, 4); i > 0; --i) {
      std::vector<ModuleOptions> options;
      bool vectors = false;
      const bool int8 = Chance(4);
      for (size_t g = 0; g < outputs; ++g) {
        options.push_back({Rank(), int8, Chance(4), Chance(4)});
        vectors = vectors || options[g].out_scale || options[g].bias;
      }
      all.push_back(test->Adapter(options));
      if (!vectors) {
        plain.push_back(all.back());
      }
    }
    for (int64_t s = Between(&random_, 0, 5); s > 0; --s) {
      const int64_t tokens = Chance(12) ? Between(&random_, 16, 40) : Between(&random_, 0, 6);
      const int64_t kind = Between(&random_, 0, 3);
      if (kind == 0) {
        test->BaseSegment(tokens);
      } else if (kind == 1 && !plain.empty()) {
        std::vector<size_t> stack;
        std::vector<float> weights;
        for (int64_t e = Between(&random_, 1, 4); e > 0; --e) {
          stack.push_back(plain[Between(&random_, 0, static_cast<int64_t>(plain.size()) - 1)]);
          weights.push_back(static_cast<float>(Between(&random_, -8, 8)) / 4.0f);
        }
        test->Segment(tokens, stack, weights);
      } else {
        test->Segment(tokens, all[Between(&random_, 0, static_cast<int64_t>(all.size()) - 1)]);
      }
    }
    for (size_t g = 0; g < outputs; ++g) {
      if (Chance(2)) {
        test->Bias(g);
      }
    }
    test->Fill();
    return test;
  }

  std::mt19937 random_{20231028};
};

using Types = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(SgmvTest, Types);

TYPED_TEST(SgmvTest, AgreesWithTheFormulaOverRandomCases) {
  // 700 cases of each type, on each instruction set.
  for (int round = 0; round < 700; ++round) {
    const auto test = this->RandomCase();
    const auto expected = test->Oracle();
    for (const Isa isa : SupportedIsas()) {
      const WithIsa with(isa);
      test->Check(test->Run(1 + round % 4), expected);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "in round " << round;
      }
    }
  }
}

TYPED_TEST(SgmvTest, SpreadsOverThreadsWithTheSameBits) {
  // Large enough that every thread gets a share (UsefulThreads).
  for (const Isa isa : SupportedIsas()) {
    const WithIsa with(isa);
    SgmvCase<TypeParam> test(257, {515, 77}, 3, &this->random_);
    const size_t small = test.Adapter({{16}, {4}});
    const size_t large = test.Adapter({{64, false, true, true}, {512}});
    const size_t scales = test.Adapter({{0, false, true}, {0, false, false, true}});
    const size_t compact = test.Adapter({{8, true}, {33, true}});
    test.Segment(3, small);
    test.BaseSegment(2);
    test.Segment(0, small);
    test.Segment(9, large);
    test.Segment(40, compact);
    test.Segment(1, scales);
    test.Segment(5, {small, compact}, {0.5f, -1.5f});
    test.Bias(0);
    test.Fill();
    const auto one = test.Run(1);
    test.Check(one);
    for (const int threads : {2, 3, 4, 7}) {
      EXPECT_TRUE(SameBits(one, test.Run(threads))) << threads << " threads, " << IsaName(isa);
    }
  }
}

TYPED_TEST(SgmvTest, GivesARowTheSameBitsBesideAnyOthers) {
  // A row's bits depend on whether its segment is a long one (kLongSegment), and on nothing else of the batch. All rows
  // are the same here, so all results of short segments must be, and all of long ones.
  for (const Isa isa : SupportedIsas()) {
    const WithIsa with(isa);
    SgmvCase<TypeParam> test(100, {130, 33}, 0, &this->random_);
    const size_t adapter = test.Adapter({{37, false, true}, {5, false, false, true}});
    const int64_t sizes[] = {1, 16, 3, 2, 33, 4, 15, 100, 1, 7};
    for (const int64_t size : sizes) {
      test.Segment(size, adapter);
      test.BaseSegment(1);
    }
    test.Fill();
    test.RepeatFirstRow();
    const auto y = test.Run(2);
    for (size_t g = 0; g < 2; ++g) {
      const int64_t out = g == 0 ? 130 : 33;
      int64_t row = 0;
      for (const int64_t size : sizes) {
        const int64_t same = size < 16 ? 0 : 2;  // the first short and the first long segment
        for (int64_t t = 0; t < size; ++t, ++row) {
          ASSERT_EQ(0, std::memcmp(y[g].data() + same * out, y[g].data() + row * out, out * sizeof(TypeParam)))
              << IsaName(isa) << ", row " << row;
        }
        ++row;
      }
    }
  }
}

TYPED_TEST(SgmvTest, BehindItsBaseProductsGivesWhatOneCallAfterTheOtherGives) {
  using T = TypeParam;
  for (int round = 0; round < 60; ++round) {
    const int64_t in = Between(&this->random_, 1, 200);
    std::vector<int64_t> outs;
    for (int64_t g = Between(&this->random_, 1, kMaxGroup); g > 0; --g) {
      outs.push_back(Between(&this->random_, 1, round % 6 == 0 ? 2000 : 150));
    }
    if (outs.size() == 2) {
      outs[1] = outs[0];
    }
    SgmvCase<T> test(in, outs, Between(&this->random_, 0, 3), &this->random_);
    const std::vector<ModuleOptions> options(outs.size(), {this->Rank(), false, false, round % 3 == 0});
    const size_t first = test.Adapter(options);
    const size_t second = test.Adapter(options);
    for (int64_t s = Between(&this->random_, 1, 9); s > 0; --s) {
      const int64_t tokens = this->Chance(8) ? Between(&this->random_, 10, 70) : Between(&this->random_, 0, 2);
      if (this->Chance(4)) {
        test.BaseSegment(tokens);
      } else {
        test.Segment(tokens, s % 2 == 0 ? first : second);
      }
    }
    if (test.tokens() == 0) {
      continue;
    }
    if (round % 2 == 0) {
      test.Bias(0);
    }
    test.Fill();
    std::vector<std::vector<T>> weights;
    for (const int64_t out : outs) {
      weights.push_back(Random<T>(&this->random_, out * in));
    }
    for (const Isa isa : SupportedIsas()) {
      const WithIsa with(isa);
      const auto apart = test.RunWithProducts(weights, false, 1);
      for (const int threads : {1, 2, 4}) {
        ASSERT_TRUE(SameBits(apart, test.RunWithProducts(weights, true, threads)))
            << IsaName(isa) << ", " << threads << " threads, round " << round;
      }
    }
  }
}

TYPED_TEST(SgmvTest, LeavesBaseRowsWithoutBiasAsTheyAre) {
  // NaN payloads and signed zeros too: the bytes are not touched.
  std::vector<TypeParam> y(70);
  std::memset(static_cast<void*>(y.data()), 0xff, y.size() * sizeof(TypeParam));
  const std::vector<TypeParam> before = y;
  const std::vector<TypeParam> x(20);
  const SgmvSegment base{0, 2, 0, 0};
  SgmvProblem problem{};
  problem.type = ElementTraits<TypeParam>::kType;
  problem.in = 10;
  problem.x = x.data();
  problem.x_stride = 10;
  problem.outputs[0] = {35, y.data(), 35, nullptr};
  problem.output_count = 1;
  problem.segments = &base;
  problem.segment_count = 1;
  SgmvCpu(problem, 2);
  EXPECT_EQ(0, std::memcmp(before.data(), y.data(), y.size() * sizeof(TypeParam)));
}

TYPED_TEST(SgmvTest, LetsNaNAndInfinityThroughToTheirRowsAlone) {
  for (const Isa isa : SupportedIsas()) {
    const WithIsa with(isa);
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
      for (const int64_t tokens : {3, 20}) {
        SgmvCase<TypeParam> test(41, {19}, 0, &this->random_);
        test.Segment(tokens, test.Adapter({{5}}));
        test.Fill();
        (*test.x())[41 + 40] = FromFloat<TypeParam>(bad);
        const auto y = test.Run(1);
        for (int64_t t = 0; t < tokens; ++t) {
          for (int64_t o = 0; o < 19; ++o) {
            EXPECT_EQ(t != 1, std::isfinite(ToFloat(y[0][t * 19 + o]))) << IsaName(isa) << " row " << t;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace djl_lora
