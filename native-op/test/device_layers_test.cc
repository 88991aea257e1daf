// SPDX-License-Identifier: Apache-2.0
//
// The layers on a device, with an emulated device whose memory is the host's: all but the launches themselves is what
// runs on a GPU.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/emulated_layers.h"
#include "ops/attention.h"
#include "ops/layers.h"
#include "support.h"

namespace djl_lora {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <typename T>
class DeviceLayersTest : public testing::Test {
 protected:
  // Elements of both differ by at most one rounding, as sums in another order may fall to either side of one.
  static void ExpectNear(const Tensor& expected, const Tensor& actual, double roundings) {
    const std::vector<T> want = Values<T>(expected);
    const std::vector<T> got = Values<T>(actual);
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); ++i) {
      const double value = ToFloat(want[i]);
      ASSERT_NEAR(value, ToFloat(got[i]),
                  2.0 * roundings * (std::abs(value) * ElementTraits<T>::kHalfUlp + ElementTraits<T>::kTiny))
          << "element " << i;
    }
  }

  // A tensor over a part of a larger one, so that it begins off a boundary.
  Tensor Shifted(const Tensor& tensor) {
    const TensorInfo info = Describe("test", "tensor", tensor.get());
    const Tensor larger = Empty({info.numel + 1}, info.type);
    const TensorInfo whole = Describe("test", "tensor", larger.get());
    std::memcpy(whole.As<char>() + sizeof(T), info.data, static_cast<size_t>(info.numel) * sizeof(T));
    return View(whole, {info.sizes, info.sizes + info.dim}, {info.strides, info.strides + info.dim}, 1);
  }

  std::mt19937 random_{20261121};
  EmulatedLayerDevice device_;
};

using Types = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(DeviceLayersTest, Types);

TYPED_TEST(DeviceLayersTest, NormalisesAsTheCpuDoes) {
  using T = TypeParam;
  // rows of a warp, of a block, more than a block keeps in registers, and lengths that are no multiple of a vector
  for (const int64_t size : {1, 8, 33, 128, 512, 520, 1000, 4096, 17000}) {
    for (const bool shifted : {false, true}) {
      const int64_t rows = Between(&this->random_, 1, size > 4096 ? 2 : 9);
      const std::vector<T> x = Random<T>(&this->random_, rows * size, 3.0f);
      const std::vector<T> delta = Random<T>(&this->random_, rows * size);
      const Tensor weight = MakeTensor(Random<T>(&this->random_, size));
      const Tensor added = MakeTensor(delta, {rows, size});
      for (const bool with_delta : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << size << (with_delta ? ", with a delta" : "")
                                        << (shifted ? ", off a boundary" : ""));
        const Tensor cpu = MakeTensor(x, {rows, size});
        const Tensor own = shifted ? this->Shifted(cpu) : MakeTensor(x, {rows, size});
        const AtenTensorHandle plus = with_delta ? added.get() : nullptr;
        const Tensor expected = RmsNorm(cpu.get(), plus, weight.get(), 1e-5, 1);
        const Tensor actual = RmsNormOn(this->device_, own.get(), plus, weight.get(), 1e-5);
        this->ExpectNear(expected, actual, 3.0);  // the normalised number, and that times the weight
        EXPECT_EQ(0, std::memcmp(Values<T>(cpu).data(), Values<T>(own).data(), x.size() * sizeof(T)))
            << "x with the delta is rounded once";
        if (testing::Test::HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TYPED_TEST(DeviceLayersTest, GivesARowOfANormTheSameBitsAmongOthers) {
  using T = TypeParam;
  for (const int64_t size : {72, 1032}) {
    const std::vector<T> row = Random<T>(&this->random_, size);
    std::vector<T> rows;
    for (int i = 0; i < 9; ++i) {
      rows.insert(rows.end(), row.begin(), row.end());
    }
    const Tensor weight = MakeTensor(Random<T>(&this->random_, size));
    const Tensor one = MakeTensor(row, {1, size});
    const Tensor many = MakeTensor(rows, {9, size});
    const std::vector<T> alone = Values<T>(RmsNormOn(this->device_, one.get(), nullptr, weight.get(), 1e-6));
    const EmulatedLayerDevice other(7);
    const std::vector<T> among = Values<T>(RmsNormOn(other, many.get(), nullptr, weight.get(), 1e-6));
    for (int i = 0; i < 9; ++i) {
      EXPECT_EQ(0, std::memcmp(alone.data(), among.data() + i * size, alone.size() * sizeof(T))) << "row " << i;
    }
  }
}

TYPED_TEST(DeviceLayersTest, MultipliesGatesAsTheCpuDoes) {
  using T = TypeParam;
  for (const int64_t columns : {1, 7, 8, 1032, 2049}) {
    std::vector<T> gate = Random<T>(&this->random_, 3 * columns, 20.0f);
    gate[0] = FromFloat<T>(-300.0f);
    const Tensor gates = MakeTensor(gate, {3, columns});
    const Tensor ups = MakeTensor(Random<T>(&this->random_, 3 * columns), {3, columns});
    const Tensor expected = SiluMul(gates.get(), ups.get(), 1);
    this->ExpectNear(expected, SiluMulOn(this->device_, gates.get(), ups.get()), 3.0);
    this->ExpectNear(expected, SiluMulOn(this->device_, this->Shifted(gates).get(), ups.get()), 3.0);
  }
}

// A layer's pages, and what is written there.
template <typename T>
struct WriteCase {
  WriteCase(std::mt19937* random, int64_t tokens, int64_t heads, int64_t kv_heads, int64_t dim, int64_t positions)
      : wide(heads + 1) {
    const int64_t pages = (tokens + positions - 1) / positions + 2;
    queries = MakeTensor(Random<T>(random, tokens * wide * dim), {tokens, wide, dim});
    q = View(Describe("test", "q", queries.get()), {tokens, heads, dim}, {wide * dim, dim, 1}, 0);
    const Tensor both = MakeTensor(Random<T>(random, tokens * 2 * kv_heads * dim), {tokens, 2 * kv_heads, dim});
    const TensorInfo all = Describe("test", "k and v", both.get());
    const std::vector<int64_t> strides = {2 * kv_heads * dim, dim, 1};
    k = View(all, {tokens, kv_heads, dim}, strides, 0);
    v = View(all, {tokens, kv_heads, dim}, strides, kv_heads * dim);
    cos = MakeTensor(Random<float>(random, tokens * (dim / 2)), {tokens, dim / 2});
    sin = MakeTensor(Random<float>(random, tokens * (dim / 2)), {tokens, dim / 2});
    const std::vector<T> old = Random<T>(random, pages * kv_heads * dim * positions);
    keys = MakeTensor(old, {pages, kv_heads, dim, positions});
    values = MakeTensor(old, {pages, kv_heads, positions, dim});
    std::vector<int64_t> numbers;
    for (int64_t i = 0; i < pages * positions; ++i) {
      numbers.push_back(i);
    }
    if (Between(random, 0, 1) == 0) {
      std::shuffle(numbers.begin(), numbers.end(), *random);  // as rows of many sequences have them
    }
    numbers.resize(static_cast<size_t>(tokens));
    places = MakeTensor(numbers);
  }

  KvWriteArguments Arguments(bool turned, bool with_queries) const {
    return {with_queries ? q.get() : nullptr,
            k.get(),
            v.get(),
            turned ? cos.get() : nullptr,
            turned ? sin.get() : nullptr,
            {keys.get(), values.get()},
            places.get()};
  }

  int64_t wide;  // heads from one row of queries to the next
  Tensor queries;
  Tensor q;
  Tensor k;
  Tensor v;
  Tensor cos;
  Tensor sin;
  Tensor keys;
  Tensor values;
  Tensor places;
};

TYPED_TEST(DeviceLayersTest, WritesKeysAndValuesAsTheCpuDoes) {
  using T = TypeParam;
  struct Shape {
    int64_t tokens, heads, kv_heads, dim, positions;
  };
  for (const Shape& shape : {Shape{1, 4, 1, 64, 16}, Shape{37, 4, 2, 128, 16}, Shape{17, 3, 3, 10, 48},
                             Shape{5, 2, 2, 512, 32}, Shape{18, 2, 1, 7, 16}}) {
    for (const bool turned : {true, false}) {
      for (const bool queries : {true, false}) {
        if ((turned && shape.dim % 2 != 0) || (queries && !turned)) {
          continue;
        }
        SCOPED_TRACE(testing::Message() << shape.tokens << " rows of " << shape.dim << (turned ? ", turned" : ""));
        const uint32_t seed = this->random_();
        std::mt19937 random_one(seed);
        std::mt19937 random_two(seed);
        const WriteCase<T> cpu(&random_one, shape.tokens, shape.heads, shape.kv_heads, shape.dim, shape.positions);
        const WriteCase<T> own(&random_two, shape.tokens, shape.heads, shape.kv_heads, shape.dim, shape.positions);
        KvWrite(cpu.Arguments(turned, queries), 1);
        KvWriteOn(this->device_, own.Arguments(turned, queries));
        // a difference of two products may be rounded before or after it is made
        for (const auto& pair : {std::pair(&cpu.keys, &own.keys), std::pair(&cpu.queries, &own.queries)}) {
          const std::vector<T> want = Values<T>(*pair.first);
          const std::vector<T> got = Values<T>(*pair.second);
          for (size_t i = 0; i < want.size(); ++i) {
            ASSERT_NEAR(ToFloat(want[i]), ToFloat(got[i]),
                        1e-5 + 2.0 * std::abs(ToFloat(want[i])) * ElementTraits<T>::kHalfUlp)
                << "element " << i;
          }
        }
        EXPECT_EQ(0, std::memcmp(Values<T>(cpu.values).data(), Values<T>(own.values).data(),
                                 Values<T>(cpu.values).size() * sizeof(T)));
      }
    }
  }
}

TYPED_TEST(DeviceLayersTest, WritesNothingToPlacesThatThereAreNot) {
  using T = TypeParam;
  const WriteCase<T> cpu(&this->random_, 3, 2, 1, 16, 16);
  const std::vector<T> keys = Values<T>(cpu.keys);
  const std::vector<T> values = Values<T>(cpu.values);
  const int64_t all = 3 * 16;
  for (const int64_t bad : {int64_t{-1}, all, int64_t{1} << 40, std::numeric_limits<int64_t>::min()}) {
    int64_t* places = Describe("test", "places", cpu.places.get()).template As<int64_t>();
    std::fill(places, places + 3, bad);
    KvWriteOn(this->device_, cpu.Arguments(true, true));
    EXPECT_EQ(0, std::memcmp(keys.data(), Values<T>(cpu.keys).data(), keys.size() * sizeof(T)));
    EXPECT_EQ(0, std::memcmp(values.data(), Values<T>(cpu.values).data(), values.size() * sizeof(T)));
    const std::vector<T> rows = Values<T>(cpu.queries);
    for (int64_t i = 0; i < 3 * cpu.wide * 16; ++i) {
      EXPECT_EQ(i % (cpu.wide * 16) < 2 * 16, std::isnan(ToFloat(rows[i]))) << "only queries are NaN, element " << i;
    }
  }
}

TYPED_TEST(DeviceLayersTest, RefusesWhatKernelsOnADeviceDoNotTake) {
  using T = TypeParam;
  const Tensor x = MakeTensor(std::vector<float>(16), {2, 8});
  const Tensor weight = MakeTensor(std::vector<float>(8));
  const std::string wanted = ", but kernels on a device take float16 or bfloat16";
  EXPECT_EQ("rmsNorm: x is float32 [2, 8]" + wanted,
            Refusal([&] { RmsNormOn(this->device_, x.get(), nullptr, weight.get(), 1e-5); }));
  EXPECT_EQ("siluMul: gate is float32 [2, 8]" + wanted, Refusal([&] { SiluMulOn(this->device_, x.get(), x.get()); }));
  const Tensor half = MakeTensor(Random<T>(&this->random_, 16), {2, 8});
  EXPECT_NE(std::string::npos, Refusal([&] {
                                 RmsNormOn(this->device_, half.get(), half.get(), weight.get(), 1e-5);
                               }).find("weight is float32"));
  const Tensor k = MakeTensor(Random<T>(&this->random_, 32), {2, 1, 16});
  const Tensor keys = Empty({1, 1, 18, 16}, ElementType::kInt8);
  const Tensor values = Empty({1, 1, 16, 18}, ElementType::kInt8);
  const Tensor places = MakeTensor<int64_t>({0, 1});
  EXPECT_NE(std::string::npos,
            Refusal([&] {
              KvWriteOn(this->device_,
                        {nullptr, k.get(), k.get(), nullptr, nullptr, {keys.get(), values.get()}, places.get()});
            }).find("keys and values are int8, which kernels on a device do not take"));
  EXPECT_EQ(0, this->device_.launches);
}

TEST(LayerOperatorsTest, AreTheFunctionsOnTheCpu) {
  std::mt19937 random(6);
  const std::vector<float> x = Random<float>(&random, 24);
  const Tensor one = MakeTensor(x, {3, 8});
  const Tensor two = MakeTensor(x, {3, 8});
  const Tensor delta = MakeTensor(Random<float>(&random, 24), {3, 8});
  const Tensor weight = MakeTensor(Random<float>(&random, 8));
  const Tensor norm = RmsNorm(one.get(), delta.get(), weight.get(), 1e-5, 1);
  EXPECT_EQ(Values<float>(norm), Values<float>(CallForTensor("djl_lora::rms_norm", "",
                                                             {Argument::Of(two.get()), Argument::Optional(delta.get()),
                                                              Argument::Of(weight.get()), Argument::Double(1e-5)})));
  EXPECT_EQ(Values<float>(one), Values<float>(two));
  EXPECT_EQ(
      Values<float>(SiluMul(one.get(), delta.get(), 1)),
      Values<float>(CallForTensor("djl_lora::silu_mul", "", {Argument::Of(one.get()), Argument::Of(delta.get())})));
}

TEST(DeviceArgmaxTest, FindsWhatTheCpuFinds) {
  std::mt19937 random(5);
  const EmulatedLayerDevice device;
  for (const int64_t columns : {1, 31, 1000, 8192, 8193, 40000}) {
    const int64_t rows = 9;
    std::vector<float> x(static_cast<size_t>(rows * columns));
    for (float& value : x) {
      value = static_cast<float>(Between(&random, -50, 50));  // many are the greatest
    }
    const auto row = [&](int64_t r) { return x.data() + r * columns; };
    row(1)[columns / 2] = kNan;
    row(2)[columns - 1] = kInfinity;
    std::fill(row(3), row(3) + columns, -kInfinity);
    std::fill(row(4), row(4) + columns, -kInfinity);
    row(4)[columns - 1] = -3e38f;
    row(5)[0] = 51.0f;
    row(6)[columns - 1] = 51.0f;
    std::fill(row(7), row(7) + columns, -0.0f);
    row(7)[columns / 3] = 0.0f;
    const Tensor tensor = MakeTensor(x, {rows, columns});
    std::vector<int64_t> expected(rows);
    std::vector<int64_t> actual(rows);
    ArgmaxRows(tensor.get(), expected.data(), rows, 1);
    ArgmaxRowsOn(device, tensor.get(), actual.data(), rows);
    EXPECT_EQ(expected, actual) << columns << " columns";
  }
  std::vector<int64_t> none;
  ArgmaxRowsOn(device, Empty({0, 5}, ElementType::kFloat32).get(), none.data(), 0);
}

}  // namespace
}  // namespace djl_lora
