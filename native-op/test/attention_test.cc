// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/argmax_cpu.h"
#include "cpu/attention_cpu.h"
#include "cpu/exp.h"
#include "cpu/isa.h"
#include "cpu/layers_cpu.h"
#include "support.h"

namespace djl_lora {
namespace {

// A batch of sequences whose pages lie anywhere, beside keys and values as they would lie without pages.
template <typename T>
struct AttentionCase {
  int64_t kv_heads;
  int64_t group;
  int64_t dim;
  int64_t positions;
  int64_t pages = 0;
  std::vector<int64_t> row_starts = {0};
  std::vector<int64_t> lengths;
  std::vector<int64_t> page_starts = {0};
  std::vector<int64_t> page_table;
  std::vector<T> q;
  std::vector<std::vector<T>> k;  // of each sequence [length, kv heads, dim]
  std::vector<std::vector<T>> v;
  std::vector<T> keys;
  std::vector<T> values;
  bool int8;
  std::vector<int8_t> int8_keys;
  std::vector<int8_t> int8_values;

  AttentionCase(std::mt19937* random, int64_t sequences, int64_t most_length, bool in_eight_bits = false)
      : kv_heads(Between(random, 1, 3)),
        group(Between(random, 1, 7)),
        dim(Between(random, 1, 40) * 2),
        positions(16 * Between(random, 1, 3)),
        int8(in_eight_bits) {
    for (int64_t s = 0; s < sequences; ++s) {
      const int64_t length = Between(random, 1, most_length);
      const int64_t rows = Between(random, 0, 2) == 0 ? Between(random, 1, length) : 1;
      lengths.push_back(length);
      row_starts.push_back(row_starts.back() + rows);
      page_starts.push_back(page_starts.back() + (length + positions - 1) / positions + Between(random, 0, 1));
      k.push_back(Heads(random, length));
      v.push_back(Heads(random, length));
    }
    pages = page_starts.back() + 3;
    page_table.resize(static_cast<size_t>(pages));
    std::iota(page_table.begin(), page_table.end(), 0);
    std::shuffle(page_table.begin(), page_table.end(), *random);
    page_table.resize(static_cast<size_t>(page_starts.back()));
    // what was never written is not a number: it must not be seen
    const T nan = FromFloat<T>(std::numeric_limits<float>::quiet_NaN());
    keys.assign(static_cast<size_t>(pages * kv_heads * dim * positions), nan);
    values = keys;
    // two of these bytes are a scale that is not a number
    int8_keys.assign(static_cast<size_t>(pages * kv_heads * (dim + kScaleBytes) * positions), -1);
    int8_values = int8_keys;
    q = Random<T>(random, row_starts.back() * kv_heads * group * dim);
    for (int64_t s = 0; s < sequences; ++s) {
      std::vector<int64_t> places;
      for (int64_t i = 0; i < lengths[s]; ++i) {
        places.push_back(page_table[page_starts[s] + i / positions] * positions + i % positions);
      }
      KvWriteCpu({Described(), lengths[s], 0, nullptr, 0, 0, k[s].data(), kv_heads * dim, dim, v[s].data(),
                  kv_heads * dim, dim, nullptr, nullptr, places.data()},
                 2);
    }
  }

  // Keys or values. In 8 bits each row's greatest is 127 and its scale a power of two, so that nothing is rounded.
  std::vector<T> Heads(std::mt19937* random, int64_t length) const {
    if (!int8) {
      return Random<T>(random, length * kv_heads * dim);
    }
    std::vector<T> result;
    result.reserve(static_cast<size_t>(length * kv_heads * dim));
    for (int64_t row = 0; row < length * kv_heads; ++row) {
      const float scale = std::ldexp(1.0f, static_cast<int>(Between(random, -9, -7)));
      const int64_t greatest = Between(random, 0, dim - 1);
      for (int64_t d = 0; d < dim; ++d) {
        const int64_t integer = d == greatest ? 127 : Between(random, -127, 127);
        result.push_back(FromFloat<T>(static_cast<float>(integer) * scale));
      }
    }
    return result;
  }

  Pages Described() {
    if (int8) {
      return {ElementTraits<T>::kType, pages, kv_heads, dim, positions, int8_keys.data(), int8_values.data(), true};
    }
    return {ElementTraits<T>::kType, pages, kv_heads, dim, positions, keys.data(), values.data()};
  }

  std::vector<T> Run(int64_t window, int threads) {
    std::vector<T> result(q.size());
    const int64_t heads = kv_heads * group;
    AttentionCpu(
        {Described(), heads, q.data(), heads * dim, dim, static_cast<int64_t>(lengths.size()), row_starts.data(),
         lengths.data(), page_starts.data(), page_table.data(), window, Scale(), result.data()},
        threads);
    return result;
  }

  float Scale() const { return 1.0f / std::sqrt(static_cast<float>(dim)); }

  // One row of one head in double precision.
  std::vector<double> Expected(int64_t s, int64_t row, int64_t head, int64_t window) const {
    const int64_t position = lengths[s] - (row_starts[s + 1] - row_starts[s]) + row;
    const int64_t oldest = window == 0 ? 0 : std::max<int64_t>(0, position + 1 - window);
    const T* query = q.data() + ((row_starts[s] + row) * kv_heads * group + head) * dim;
    std::vector<double> weights;
    for (int64_t i = oldest; i <= position; ++i) {
      const T* key = k[s].data() + (i * kv_heads + head / group) * dim;
      double score = 0.0;
      for (int64_t d = 0; d < dim; ++d) {
        score += static_cast<double>(ToFloat(query[d])) * ToFloat(key[d]);
      }
      weights.push_back(std::exp(score * Scale()));
    }
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<double> result(static_cast<size_t>(dim));
    for (int64_t i = oldest; i <= position; ++i) {
      const T* value = v[s].data() + (i * kv_heads + head / group) * dim;
      for (int64_t d = 0; d < dim; ++d) {
        result[d] += weights[i - oldest] / sum * ToFloat(value[d]);
      }
    }
    return result;
  }
};

template <typename T>
class AttentionTest : public testing::Test {
 protected:
  void TearDown() override { SetActiveIsa(before_); }

  std::mt19937 random_{20170612};
  Isa before_ = ActiveIsa();
};

using Types = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(AttentionTest, Types);

TYPED_TEST(AttentionTest, AgreesWithDoublePrecision) {
  for (const Isa isa : SupportedIsas()) {
    SetActiveIsa(isa);
    for (int round = 0; round < 24; ++round) {
      AttentionCase<TypeParam> batch(&this->random_, 1 + round % 4, round % 3 == 0 ? 300 : 40, round >= 12);
      const int64_t window = round % 2 == 0 ? 0 : Between(&this->random_, 1, 60);
      const std::vector<TypeParam> result = batch.Run(window, 2);
      for (size_t s = 0; s < batch.lengths.size(); ++s) {
        for (int64_t row = 0; row < batch.row_starts[s + 1] - batch.row_starts[s]; ++row) {
          for (int64_t head = 0; head < batch.kv_heads * batch.group; ++head) {
            const std::vector<double> expected = batch.Expected(static_cast<int64_t>(s), row, head, window);
            const TypeParam* found =
                result.data() + ((batch.row_starts[s] + row) * batch.kv_heads * batch.group + head) * batch.dim;
            for (int64_t d = 0; d < batch.dim; ++d) {
              // Scores of about 1 with errors of dim roundings at most, weights and sums likewise; the values are
              // about 1 and their weights sum to 1. Then one rounding to the type.
              ASSERT_NEAR(expected[d], ToFloat(found[d]),
                          2e-5 + std::abs(expected[d]) * ElementTraits<TypeParam>::kHalfUlp)
                  << IsaName(isa) << ", sequence " << s << " row " << row << " head " << head << " component " << d;
            }
          }
        }
      }
    }
  }
}

TYPED_TEST(AttentionTest, RowsDoNotDependOnWhatIsBesideThem) {
  for (const Isa isa : SupportedIsas()) {
    SetActiveIsa(isa);
    AttentionCase<TypeParam> batch(&this->random_, 1, 400, isa != SupportedIsas().front());
    batch.row_starts = {0, batch.lengths[0]};
    batch.q = Random<TypeParam>(&this->random_, batch.lengths[0] * batch.kv_heads * batch.group * batch.dim);
    for (const int64_t window : {0, 37}) {
      const std::vector<TypeParam> whole = batch.Run(window, 2);
      EXPECT_EQ(0, std::memcmp(whole.data(), batch.Run(window, 1).data(), whole.size() * sizeof(TypeParam)));
      const int64_t row_elements = batch.kv_heads * batch.group * batch.dim;
      for (int64_t row = 0; row < batch.lengths[0]; row += 29) {
        AttentionCase<TypeParam> alone = batch;
        alone.row_starts = {0, 1};
        alone.lengths = {row + 1};
        alone.q.assign(batch.q.begin() + row * row_elements, batch.q.begin() + (row + 1) * row_elements);
        const std::vector<TypeParam> one = alone.Run(window, 1);
        ASSERT_EQ(0, std::memcmp(one.data(), whole.data() + row * row_elements, one.size() * sizeof(TypeParam)))
            << IsaName(isa) << ", row " << row << " of " << batch.lengths[0] << ", window " << window;
      }
    }
  }
}

TYPED_TEST(AttentionTest, KvWriteTurnsAsRotaryDoes) {
  constexpr int64_t kTokens = 21;
  constexpr int64_t kHeads = 3;
  constexpr int64_t kQueryHeads = 6;
  constexpr int64_t kHalf = 9;
  constexpr int64_t kPositions = 16;
  const ElementType type = ElementTraits<TypeParam>::kType;
  auto q = Random<TypeParam>(&this->random_, kTokens * kQueryHeads * 2 * kHalf);
  auto k = Random<TypeParam>(&this->random_, kTokens * kHeads * 2 * kHalf);
  const auto v = Random<TypeParam>(&this->random_, kTokens * kHeads * 2 * kHalf);
  const auto cos = Random<float>(&this->random_, kTokens * kHalf);
  const auto sin = Random<float>(&this->random_, kTokens * kHalf);
  std::vector<int64_t> places(2 * kPositions);
  std::iota(places.begin(), places.end(), kPositions);
  std::shuffle(places.begin(), places.end(), this->random_);
  std::vector<TypeParam> keys(3 * kHeads * 2 * kHalf * kPositions);
  std::vector<TypeParam> values(keys.size());
  auto turned_q = q;
  KvWriteCpu({{type, 3, kHeads, 2 * kHalf, kPositions, keys.data(), values.data()},
              kTokens,
              kQueryHeads,
              turned_q.data(),
              kQueryHeads * 2 * kHalf,
              2 * kHalf,
              k.data(),
              kHeads * 2 * kHalf,
              2 * kHalf,
              v.data(),
              kHeads * 2 * kHalf,
              2 * kHalf,
              cos.data(),
              sin.data(),
              places.data()},
             4);
  RotaryCpu({type, kTokens, kQueryHeads, kHalf, q.data(), kQueryHeads * 2 * kHalf, 2 * kHalf, cos.data(), kHalf,
             sin.data(), kHalf},
            1);
  RotaryCpu(
      {type, kTokens, kHeads, kHalf, k.data(), kHeads * 2 * kHalf, 2 * kHalf, cos.data(), kHalf, sin.data(), kHalf}, 1);
  EXPECT_EQ(0, std::memcmp(q.data(), turned_q.data(), q.size() * sizeof(TypeParam)));
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t d = 0; d < 2 * kHalf; ++d) {
        const int64_t base = (places[t] / kPositions * kHeads + head) * 2 * kHalf * kPositions;
        const int64_t source = (t * kHeads + head) * 2 * kHalf + d;
        const int64_t position = places[t] % kPositions;
        ASSERT_EQ(ToFloat(k[source]), ToFloat(keys[base + d * kPositions + position]));
        ASSERT_EQ(ToFloat(v[source]), ToFloat(values[base + position * 2 * kHalf + d]));
      }
    }
  }
}

TYPED_TEST(AttentionTest, KvWriteRoundsToEightBits) {
  constexpr int64_t kTokens = 40;
  constexpr int64_t kHeads = 3;
  constexpr int64_t kHalf = 9;
  constexpr int64_t kDim = 2 * kHalf;
  constexpr int64_t kPositions = 32;
  constexpr int64_t kHead = (kDim + kScaleBytes) * kPositions;
  const ElementType type = ElementTraits<TypeParam>::kType;
  auto k = Random<TypeParam>(&this->random_, kTokens * kHeads * kDim);
  auto v = Random<TypeParam>(&this->random_, kTokens * kHeads * kDim, 100.0f);
  std::fill(v.begin(), v.begin() + kDim, FromFloat<TypeParam>(0.0f));
  const auto cos = Random<float>(&this->random_, kTokens * kHalf);
  const auto sin = Random<float>(&this->random_, kTokens * kHalf);
  std::vector<int64_t> places(2 * kPositions);
  std::iota(places.begin(), places.end(), kPositions);
  std::shuffle(places.begin(), places.end(), this->random_);
  std::vector<int8_t> keys(3 * kHeads * kHead);
  std::vector<int8_t> values(keys.size());
  KvWriteCpu({{type, 3, kHeads, kDim, kPositions, keys.data(), values.data(), true},
              kTokens,
              0,
              nullptr,
              0,
              0,
              k.data(),
              kHeads * kDim,
              kDim,
              v.data(),
              kHeads * kDim,
              kDim,
              cos.data(),
              sin.data(),
              places.data()},
             4);
  const auto near = [](const std::vector<double>& expected, const int8_t* found, int64_t stride, const int8_t* bytes) {
    BFloat16 scale_bits;
    std::memcpy(&scale_bits, bytes, sizeof(scale_bits));
    const double scale = ToFloat(scale_bits);
    double greatest = 0.0;
    for (const double value : expected) {
      greatest = std::max(greatest, std::abs(value));
    }
    // rounded up to bfloat16, and a few roundings of float32 in turning and dividing
    EXPECT_GE(scale, greatest / 127.0 * (1.0 - 1e-6));
    EXPECT_LE(scale, greatest / 127.0 * (1.0 + 0x1p-7 + 1e-6));
    for (size_t d = 0; d < expected.size(); ++d) {
      EXPECT_NEAR(expected[d], found[static_cast<int64_t>(d) * stride] * scale, scale / 2 + greatest * 1e-6);
    }
  };
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t head = 0; head < kHeads; ++head) {
      const int64_t base = (places[t] / kPositions * kHeads + head) * kHead;
      const int64_t position = places[t] % kPositions;
      const int64_t source = (t * kHeads + head) * kDim;
      std::vector<double> key(kDim);
      std::vector<double> value(kDim);
      for (int64_t i = 0; i < kHalf; ++i) {
        const double first = ToFloat(k[source + i]);
        const double second = ToFloat(k[source + i + kHalf]);
        key[i] = first * cos[t * kHalf + i] - second * sin[t * kHalf + i];
        key[i + kHalf] = second * cos[t * kHalf + i] + first * sin[t * kHalf + i];
      }
      for (int64_t d = 0; d < kDim; ++d) {
        value[d] = ToFloat(v[source + d]);
      }
      near(key, keys.data() + base + position, kPositions,
           keys.data() + base + kDim * kPositions + position * kScaleBytes);
      const int8_t* row = values.data() + base + position * (kDim + kScaleBytes);
      near(value, row, 1, row + kDim);
    }
  }
}

TYPED_TEST(AttentionTest, WhatIsNotFiniteStaysSoInEightBits) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (const bool in_keys : {false, true}) {
      AttentionCase<TypeParam> batch(&this->random_, 1, 20, true);
      (in_keys ? batch.k : batch.v)[0][batch.dim - 1] = FromFloat<TypeParam>(bad);
      std::vector<int64_t> places;
      for (int64_t i = 0; i < batch.lengths[0]; ++i) {
        places.push_back(batch.page_table[i / batch.positions] * batch.positions + i % batch.positions);
      }
      const int64_t stride = batch.kv_heads * batch.dim;
      KvWriteCpu({batch.Described(), batch.lengths[0], 0, nullptr, 0, 0, batch.k[0].data(), stride, batch.dim,
                  batch.v[0].data(), stride, batch.dim, nullptr, nullptr, places.data()},
                 1);
      EXPECT_TRUE(std::isnan(ToFloat(batch.Run(0, 1)[0])));
    }
  }
}

TYPED_TEST(AttentionTest, SiluMulAgreesWithDoublePrecision) {
  for (const Isa isa : SupportedIsas()) {
    SetActiveIsa(isa);
    constexpr int64_t kCount = 9001;
    auto gate = Random<TypeParam>(&this->random_, kCount, 8.0f);
    gate[0] = FromFloat<TypeParam>(-200.0f);
    gate[1] = FromFloat<TypeParam>(200.0f);
    const auto up = Random<TypeParam>(&this->random_, kCount);
    std::vector<TypeParam> result(kCount);
    SiluMulCpu({ElementTraits<TypeParam>::kType, kCount, gate.data(), up.data(), result.data()}, 2);
    for (int64_t i = 0; i < kCount; ++i) {
      const double x = ToFloat(gate[i]);
      const double expected = x / (1.0 + std::exp(-x)) * ToFloat(up[i]);
      // two roundings to the type, and a few of float32 in between
      ASSERT_NEAR(expected, ToFloat(result[i]),
                  std::abs(expected) * (2.1 * ElementTraits<TypeParam>::kHalfUlp + 4e-7) +
                      2.0 * ElementTraits<TypeParam>::kTiny * (1.0 + std::abs(ToFloat(up[i]))) + 1e-35)
          << IsaName(isa) << ", silu(" << x << ")";
    }
  }
}

TEST(ExpTest, IsWithinTwoUnitsInTheLastPlace) {
  for (float x = -87.0f; x <= 0.0f; x += 0.00037f) {
    const double expected = std::exp(static_cast<double>(x));
    ASSERT_NEAR(expected, ExpOfNegative(x), expected * 0x1p-22) << x;
  }
  EXPECT_EQ(1.0f, ExpOfNegative(0.0f));
  EXPECT_EQ(0.0f, ExpOfNegative(-88.0f));
  EXPECT_EQ(0.0f, ExpOfNegative(-std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(std::isnan(ExpOfNegative(std::numeric_limits<float>::quiet_NaN())));
}

TEST(ArgmaxTest, FindsTheFirstOfTheGreatest) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const int64_t rows = Between(&random, 1, 4);
    const int64_t columns = Between(&random, 1, 1500);
    std::vector<float> x(static_cast<size_t>(rows * columns));
    for (float& value : x) {
      value = static_cast<float>(Between(&random, -40, 40));
    }
    std::vector<int64_t> found(static_cast<size_t>(rows));
    ArgmaxCpu(x.data(), rows, columns, found.data(), 2);
    for (int64_t row = 0; row < rows; ++row) {
      const auto first = x.begin() + row * columns;
      EXPECT_EQ(std::max_element(first, first + columns) - first, found[row]);
    }
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
      std::vector<float> one = x;
      one[Between(&random, 0, columns - 1)] = bad;
      ArgmaxCpu(one.data(), rows, columns, found.data(), 1);
      EXPECT_EQ(kNotFinite, found[0]) << bad << " among " << columns;
    }
    std::fill(x.begin(), x.end(), -kInfinity);
    ArgmaxCpu(x.data(), rows, columns, found.data(), 1);
    EXPECT_EQ(kAllNegativeInfinity, found[0]);
  }
}

}  // namespace
}  // namespace djl_lora
