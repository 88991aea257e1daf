// SPDX-License-Identifier: Apache-2.0
//
// The streaming linear layer against a plain double-precision version.
#include "ops/linear.h"

#include <cmath>

#include "cpu/linear_cpu.h"
#include "sgmv_case.h"

namespace djl_lora {
namespace {

template <typename T>
class LinearTest : public testing::Test {
 protected:
  std::mt19937 random_{896};
};

using Types = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(LinearTest, Types);

double Wide(int8_t value) { return value; }
template <typename T>
double Wide(T value) {
  return ToFloat(value);
}

// One rounding, and before it chains of in / 16 + 5 additions in float32 and those of scale and bias, each off by 2^-24
// of the sum of the magnitudes; where the kernels multiply bfloat16 pairs, subnormal products count as zero.
template <typename T, typename W>
void Check(const std::vector<T>& x, const std::vector<W>& weight, const float* scale, const T* bias, int64_t rows,
           int64_t in, int64_t out, int64_t stride, const std::vector<T>& actual) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < out; ++o) {
      double value = 0.0;
      double magnitude = 0.0;
      for (int64_t i = 0; i < in; ++i) {
        const double term = Wide(weight[o * stride + i]) * Wide(x[t * in + i]);
        value += term;
        magnitude += std::abs(term);
      }
      if (scale != nullptr) {
        value *= scale[o];
        magnitude *= std::abs(scale[o]);
      }
      if (bias != nullptr) {
        value += Wide(bias[o]);
        magnitude += std::abs(Wide(bias[o]));
      }
      const double sums = static_cast<double>(in / 16 + 8) * 0x1p-24 * magnitude + 1e-30;
      const double tolerance = sums + (std::abs(value) + sums) * ElementTraits<T>::kHalfUlp + ElementTraits<T>::kTiny;
      ASSERT_NEAR(value, Wide(actual[t * out + o]), tolerance)
          << "row " << t << ", column " << o << ", " << IsaName(ActiveIsa());
    }
  }
}

TYPED_TEST(LinearTest, AgreesWithTheFormulaOverRandomShapes) {
  using T = TypeParam;
  for (int round = 0; round < 150; ++round) {
    const int64_t rows = Between(&this->random_, 1, round % 10 == 0 ? 70 : 9);
    const int64_t in = Between(&this->random_, 1, 300);
    const int64_t out = Between(&this->random_, 1, 200);
    const int64_t stride = in + Between(&this->random_, 0, 3);
    const auto x = Random<T>(&this->random_, rows * in);
    // One element in: the weights of a mapped file may start anywhere that their type allows.
    const auto memory = Random<T>(&this->random_, out * stride + 1);
    const std::vector<T> weight(memory.begin() + 1, memory.end());
    const auto bias = Random<T>(&this->random_, out);
    std::vector<int8_t> bytes(static_cast<size_t>(out * stride));
    for (int8_t& value : bytes) {
      value = static_cast<int8_t>(Between(&this->random_, -128, 127));
    }
    const auto scale = Random<float>(&this->random_, out, 0.01f);
    const T* added = round % 2 == 0 ? bias.data() : nullptr;
    for (const Isa isa : SupportedIsas()) {
      const WithIsa with(isa);
      std::vector<T> result(static_cast<size_t>(rows * out));
      std::vector<T> again = result;
      LinearProblem problem{ElementTraits<T>::kType,
                            rows,
                            in,
                            out,
                            x.data(),
                            in,
                            memory.data() + 1,
                            stride,
                            false,
                            nullptr,
                            added,
                            nullptr,
                            out};
      problem.result = result.data();
      LinearCpu({problem}, 1);
      Check(x, weight, nullptr, added, rows, in, out, stride, result);
      problem.result = again.data();
      LinearCpu({problem}, 4);
      ASSERT_EQ(0, std::memcmp(result.data(), again.data(), result.size() * sizeof(T))) << "4 threads";
      problem.weight = bytes.data();
      problem.int8 = true;
      problem.scale = scale.data();
      LinearCpu({problem}, 2);
      Check(x, bytes, scale.data(), added, rows, in, out, stride, again);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "in round " << round;
      }
    }
  }
}

TYPED_TEST(LinearTest, SeveralLayersInOneCallGiveWhatEachGivesAlone) {
  using T = TypeParam;
  for (const int64_t rows : {1, 3, 5, 16, 17, 70}) {
    constexpr int64_t kIn = 100;
    const std::vector<int64_t> outs = {48, 7, 200};
    const auto x = Random<T>(&this->random_, rows * kIn);
    for (const Isa isa : SupportedIsas()) {
      const WithIsa with(isa);
      std::vector<std::vector<T>> weights;
      std::vector<std::vector<T>> alone;
      std::vector<std::vector<T>> together;
      std::vector<LinearProblem> problems;
      for (const int64_t out : outs) {
        weights.push_back(Random<T>(&this->random_, out * kIn));
        alone.emplace_back(static_cast<size_t>(rows * out));
        together.emplace_back(static_cast<size_t>(rows * out));
        problems.push_back({ElementTraits<T>::kType, rows, kIn, out, x.data(), kIn, weights.back().data(), kIn, false,
                            nullptr, nullptr, alone.back().data(), out});
        LinearCpu({problems.back()}, 1);
        problems.back().result = together.back().data();
      }
      LinearCpu(problems, 3);
      for (size_t i = 0; i < outs.size(); ++i) {
        ASSERT_EQ(0, std::memcmp(alone[i].data(), together[i].data(), alone[i].size() * sizeof(T)))
            << IsaName(isa) << ", " << rows << " rows, layer " << i;
      }
    }
  }
}

TYPED_TEST(LinearTest, GivesTheSameBitsOnManyThreadsAndInAnyBatch) {
  using T = TypeParam;
  constexpr int64_t kIn = 331;
  constexpr int64_t kOut = 1203;
  constexpr int64_t kRows = 7;
  const auto x = Random<T>(&this->random_, kRows * kIn);
  const auto weight = Random<T>(&this->random_, kOut * kIn);
  for (const Isa isa : SupportedIsas()) {
    const WithIsa with(isa);
    const auto run = [&](int64_t first, int64_t rows, int threads) {
      std::vector<T> result(static_cast<size_t>(rows * kOut));
      LinearCpu({{ElementTraits<T>::kType, rows, kIn, kOut, x.data() + first * kIn, kIn, weight.data(), kIn, false,
                  nullptr, nullptr, result.data(), kOut}},
                threads);
      return result;
    };
    const auto together = run(0, kRows, 1);
    for (const int threads : {2, 4}) {
      const auto many = run(0, kRows, threads);
      EXPECT_EQ(0, std::memcmp(together.data(), many.data(), together.size() * sizeof(T))) << IsaName(isa);
    }
    for (int64_t t = 0; t < kRows; ++t) {
      const auto alone = run(t, 1, 2);
      EXPECT_EQ(0, std::memcmp(together.data() + t * kOut, alone.data(), alone.size() * sizeof(T))) << IsaName(isa);
    }
  }
}

TEST(LinearOperatorTest, RefusesWrongArguments) {
  const Tensor x = MakeTensor(std::vector<float>(6), {2, 3});
  const Tensor weight = MakeTensor(std::vector<float>(12), {4, 3});
  const auto refusal = [](const LinearArguments& arguments) {
    return Refusal([&] { CheckLinear("linear_rows", arguments); });
  };
  EXPECT_EQ("(nothing was refused)", refusal({x.get(), weight.get()}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is float32 [2, 3] and weight is float32 [3, 2]",
                      refusal({x.get(), MakeTensor(std::vector<float>(6), {3, 2}).get()}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weight is bfloat16 [4, 3], but its type must be float32",
                      refusal({x.get(), MakeTensor(std::vector<BFloat16>(12), {4, 3}).get()}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias is float32 [3], but weight float32 [4, 3] takes [4]",
                      refusal({x.get(), weight.get(), nullptr, MakeTensor(std::vector<float>(3)).get()}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weight is float32 [4, 3], but its type must be int8",
                      refusal({x.get(), weight.get(), MakeTensor(std::vector<float>(4)).get()}));
  const Tensor turned = View(Describe("test", "weight", weight.get()), {3, 4}, {1, 3}, 0);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "its last dimension must be contiguous",
                      refusal({MakeTensor(std::vector<float>(8), {2, 4}).get(), turned.get()}));
}

TEST(LinearOperatorTest, RunsByName) {
  const Tensor x = MakeTensor(std::vector<float>{1, 2, 3, 4, 5, 6}, {1, 2, 3});
  const Tensor weight = MakeTensor(std::vector<float>{1, 0, 0, 1, 1, 1}, {2, 3});
  const Tensor bias = MakeTensor(std::vector<float>{0.5f, -1.0f});
  const Tensor result = CallForTensor(
      "djl_lora::linear_rows", "", {Argument::Of(x.get()), Argument::Of(weight.get()), Argument::Optional(bias.get())});
  EXPECT_EQ("float32 [1, 2, 2]", Describe("test", "result", result.get()).Text());
  EXPECT_EQ((std::vector<float>{1.5f, 5.0f, 4.5f, 14.0f}), Values<float>(result));
}

}  // namespace
}  // namespace djl_lora
