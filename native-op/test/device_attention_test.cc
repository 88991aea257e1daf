// SPDX-License-Identifier: Apache-2.0
//
// Paged attention on a device, by the emulator, against a plain double-precision version of the formula.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "cuda/emulated_layers.h"
#include "ops/attention.h"
#include "support.h"

namespace djl_lora {
namespace {

struct SequenceShape {
  int64_t rows;
  int64_t length;
};

struct CaseShape {
  int64_t heads;
  int64_t kv_heads;
  int64_t dim;
  int64_t positions;
  int64_t window = 0;
};

// A batch with its pages. Whatever lies in pages behind a sequence's end is NaN, and so are pages of nobody's.
template <typename T>
class AttentionCase {
 public:
  AttentionCase(std::mt19937* random, const CaseShape& shape, const std::vector<SequenceShape>& sequences)
      : shape_(shape), scale_(1.0 / std::sqrt(static_cast<double>(shape.dim))) {
    row_starts_.push_back(0);
    page_starts_.push_back(0);
    for (const SequenceShape& sequence : sequences) {
      row_starts_.push_back(row_starts_.back() + sequence.rows);
      lengths_.push_back(sequence.length);
      page_starts_.push_back(page_starts_.back() + (sequence.length + shape.positions - 1) / shape.positions +
                             Between(random, 0, 1));
    }
    tokens_ = row_starts_.back();
    pages_ = page_starts_.back() + 2;
    std::vector<int64_t> all(static_cast<size_t>(pages_));
    for (size_t i = 0; i < all.size(); ++i) {
      all[i] = static_cast<int64_t>(i);
    }
    std::shuffle(all.begin(), all.end(), *random);
    page_table_.assign(all.begin(), all.begin() + page_starts_.back());
    gap_ = Between(random, 0, 1);
    q_.resize(static_cast<size_t>(tokens_ * QueryStride()));
    const T nan = FromFloat<T>(std::numeric_limits<float>::quiet_NaN());
    keys_.assign(static_cast<size_t>(pages_ * shape.kv_heads * shape.dim * shape.positions), nan);
    values_ = keys_;
    for (size_t s = 0; s < sequences.size(); ++s) {
      Fill(s, random);
    }
  }

  // Gives a sequence queries, keys and values.
  void Fill(size_t s, std::mt19937* random) {
    const auto next = [random](float factor) {
      return FromFloat<T>(std::normal_distribution<float>()(*random) * factor);
    };
    for (int64_t row = row_starts_[s]; row < row_starts_[s + 1]; ++row) {
      for (int64_t i = 0; i < RowElements(); ++i) {
        q_[row * QueryStride() + i] = next(1.5f);
      }
    }
    for (int64_t p = 0; p < lengths_[s]; ++p) {
      for (int64_t h = 0; h < shape_.kv_heads; ++h) {
        for (int64_t d = 0; d < shape_.dim; ++d) {
          keys_[KeyPlace(s, p, h, d)] = next(1.0f);
          values_[ValuePlace(s, p, h, d)] = next(1.0f);
        }
      }
    }
  }

  int64_t tokens() const { return tokens_; }
  const CaseShape& shape() const { return shape_; }
  std::vector<int64_t>& row_starts() { return row_starts_; }
  std::vector<int64_t>& lengths() { return lengths_; }
  std::vector<int64_t>& page_starts() { return page_starts_; }
  std::vector<int64_t>& page_table() { return page_table_; }
  int64_t RowElements() const { return shape_.heads * shape_.dim; }
  int64_t QueryStride() const { return (shape_.heads + gap_) * shape_.dim; }

  // [tokens, heads, dim]. shift: elements that the pages begin off a boundary.
  std::vector<T> Run(const EmulatedLayerDevice& device, int64_t shift = 0) const {
    const Tensor wide = MakeTensor(q_, {tokens(), shape_.heads + gap_, shape_.dim});
    const Tensor q = View(Describe("test", "q", wide.get()), {tokens(), shape_.heads, shape_.dim},
                          {QueryStride(), shape_.dim, 1}, 0);
    const auto paged = [&](const std::vector<T>& elements, const std::vector<int64_t>& sizes) {
      std::vector<T> padded(elements.size() + static_cast<size_t>(shift));
      std::copy(elements.begin(), elements.end(), padded.begin() + shift);
      const Tensor memory = MakeTensor(padded);
      return View(Describe("test", "pages", memory.get()), sizes, ContiguousStrides(sizes), shift);
    };
    const Tensor keys = paged(keys_, {pages_, shape_.kv_heads, shape_.dim, shape_.positions});
    const Tensor values = paged(values_, {pages_, shape_.kv_heads, shape_.positions, shape_.dim});
    const Tensor row_starts = MakeTensor(row_starts_);
    const Tensor lengths = MakeTensor(lengths_);
    const Tensor page_starts = MakeTensor(page_starts_);
    const Tensor page_table = MakeTensor(page_table_);
    return Values<T>(PagedAttentionOn(device, {q.get(),
                                               {keys.get(), values.get()},
                                               row_starts.get(),
                                               lengths.get(),
                                               page_starts.get(),
                                               page_table.get(),
                                               shape_.window,
                                               scale_}));
  }

  // Compares with the formula.
  void Check(const std::vector<T>& actual) const {
    std::vector<double> weights;
    for (size_t s = 0; s + 1 < row_starts_.size(); ++s) {
      const int64_t rows = row_starts_[s + 1] - row_starts_[s];
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t end = lengths_[s] - rows + r + 1;
        const int64_t begin = shape_.window == 0 ? 0 : std::max<int64_t>(0, end - shape_.window);
        for (int64_t h = 0; h < shape_.heads; ++h) {
          CheckRow(actual, s, row_starts_[s] + r, h, begin, end, &weights);
          if (testing::Test::HasFatalFailure()) {
            return;
          }
        }
      }
    }
  }

 private:
  void CheckRow(const std::vector<T>& actual, size_t s, int64_t row, int64_t h, int64_t begin, int64_t end,
                std::vector<double>* weights) const {
    const int64_t kv = h / (shape_.heads / shape_.kv_heads);
    weights->clear();
    double most = -std::numeric_limits<double>::infinity();
    for (int64_t p = begin; p < end; ++p) {
      double score = 0.0;
      for (int64_t d = 0; d < shape_.dim; ++d) {
        score += static_cast<double>(ToFloat(q_[row * QueryStride() + h * shape_.dim + d])) *
                 ToFloat(keys_[KeyPlace(s, p, kv, d)]);
      }
      weights->push_back(score * scale_);
      most = std::max(most, weights->back());
    }
    double sum = 0.0;
    for (double& weight : *weights) {
      weight = std::exp(weight - most);
      sum += weight;
    }
    for (int64_t d = 0; d < shape_.dim; ++d) {
      double value = 0.0;
      double magnitude = 0.0;
      for (int64_t p = begin; p < end; ++p) {
        const double term = (*weights)[p - begin] / sum * ToFloat(values_[ValuePlace(s, p, kv, d)]);
        value += term;
        magnitude += std::abs(term);
      }
      // weights are rounded to the type before they meet the values, and the result is rounded
      const double tolerance = (magnitude + std::abs(value)) * ElementTraits<T>::kHalfUlp + 1e-5;
      ASSERT_NEAR(value, ToFloat(actual[(row * shape_.heads + h) * shape_.dim + d]), tolerance)
          << "row " << row << " of sequence " << s << ", head " << h << ", component " << d;
    }
  }

  size_t PageStart(size_t s, int64_t position, int64_t head) const {
    const int64_t page = page_table_[page_starts_[s] + position / shape_.positions];
    return static_cast<size_t>((page * shape_.kv_heads + head) * shape_.dim * shape_.positions);
  }
  size_t KeyPlace(size_t s, int64_t position, int64_t head, int64_t d) const {
    return PageStart(s, position, head) + static_cast<size_t>(d * shape_.positions + position % shape_.positions);
  }
  size_t ValuePlace(size_t s, int64_t position, int64_t head, int64_t d) const {
    return PageStart(s, position, head) + static_cast<size_t>(position % shape_.positions * shape_.dim + d);
  }

  CaseShape shape_;
  double scale_;
  int64_t tokens_ = 0;
  int64_t pages_ = 0;
  int64_t gap_ = 0;  // heads between one row of queries and the next
  std::vector<int64_t> row_starts_;
  std::vector<int64_t> lengths_;
  std::vector<int64_t> page_starts_;
  std::vector<int64_t> page_table_;
  std::vector<T> q_;
  std::vector<T> keys_;
  std::vector<T> values_;
};

template <typename T>
class DeviceAttentionTest : public testing::Test {
 protected:
  std::mt19937 random_{20261121};
  EmulatedLayerDevice device_;
};

using Types = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(DeviceAttentionTest, Types);

TYPED_TEST(DeviceAttentionTest, AgreesWithTheFormulaForEveryHeadSize) {
  const CaseShape shapes[] = {{4, 1, 64, 16},  {3, 3, 80, 32},     {8, 4, 96, 16},    {4, 2, 128, 16},
                              {2, 1, 256, 64}, {7, 1, 64, 48, 20}, {2, 2, 128, 16, 1}};
  for (const CaseShape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.heads << " heads over " << shape.kv_heads << " of " << shape.dim);
    // single tokens, a draft, prompts with and without a past, and lengths over the borders of pages and tiles
    const AttentionCase<TypeParam> test(&this->random_, shape,
                                        {{1, 1}, {1, 100}, {2, 65}, {20, 20}, {0, 0}, {1, 16}, {33, 90}, {1, 17}});
    test.Check(test.Run(this->device_));
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TYPED_TEST(DeviceAttentionTest, FindsFewPromptsAmongManySingleTokens) {
  // in each of the two ways to number tiles
  for (const bool per_sequence : {false, true}) {
    std::vector<SequenceShape> sequences = {{1, 9}, {per_sequence ? 130 : 20, 140}};
    for (int i = 0; i < 12 && !per_sequence; ++i) {
      sequences.push_back({1, 5 + i});
    }
    sequences.push_back({17, 17});
    const AttentionCase<TypeParam> test(&this->random_, {2, 2, 64, 16}, sequences);
    cuda::AttentionParams params{};
    params.tokens = static_cast<int>(test.tokens());
    params.sequences = static_cast<int>(sequences.size());
    params.dim = 64;
    params.positions = 16;
    cuda::Divide(2, 2, &params);
    EXPECT_EQ(per_sequence, params.tile_per_sequence);
    test.Check(test.Run(this->device_));
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TYPED_TEST(DeviceAttentionTest, AddsUpThePartsOfLongSequences) {
  for (const CaseShape& shape : {CaseShape{4, 1, 64, 16}, CaseShape{4, 2, 128, 64, 700}, CaseShape{2, 1, 256, 16}}) {
    const AttentionCase<TypeParam> test(&this->random_, shape, {{1, 1000}, {1, 256}, {3, 257}, {1, 5}, {1, 513}});
    test.Check(test.Run(this->device_));
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TYPED_TEST(DeviceAttentionTest, TakesMoreThanThePartsOfOneSequenceAtATime) {
  // of 64 parts at most, so each has two units
  const AttentionCase<TypeParam> test(&this->random_, {1, 1, 64, 256}, {{1, 64 * 256 + 100}});
  test.Check(test.Run(this->device_));
}

TYPED_TEST(DeviceAttentionTest, DividesGroupsThatATileDoesNotHold) {
  for (const int64_t heads : {17, 32}) {
    const AttentionCase<TypeParam> test(&this->random_, {heads, 1, 64, 16}, {{1, 70}, {3, 30}});
    test.Check(test.Run(this->device_));
  }
}

TYPED_TEST(DeviceAttentionTest, TakesAnyHeadAndBoundaryWithoutTheCores) {
  for (const CaseShape& shape :
       {CaseShape{3, 1, 1, 16}, CaseShape{4, 2, 20, 48, 33}, CaseShape{2, 1, 512, 16}, CaseShape{6, 2, 130, 32}}) {
    const AttentionCase<TypeParam> test(&this->random_, shape, {{1, 1}, {1, 100}, {12, 40}, {0, 3}, {1, 33}});
    test.Check(test.Run(this->device_));
  }
  const AttentionCase<TypeParam> shifted(&this->random_, {4, 2, 64, 16}, {{1, 300}, {9, 20}});
  shifted.Check(shifted.Run(this->device_, 3));
}

TYPED_TEST(DeviceAttentionTest, AgreesOverRandomBatches) {
  const int64_t dims[] = {64, 80, 96, 128, 40};
  for (int round = 0; round < 12; ++round) {
    const int64_t kv_heads = Between(&this->random_, 1, 2);
    const CaseShape shape{kv_heads * Between(&this->random_, 1, 5), kv_heads, dims[Between(&this->random_, 0, 4)],
                          16 * Between(&this->random_, 1, 4), round % 2 == 0 ? 0 : Between(&this->random_, 1, 400)};
    std::vector<SequenceShape> sequences;
    for (int64_t s = Between(&this->random_, 1, 5); s > 0; --s) {
      const int64_t rows = Between(&this->random_, 0, 3) == 0 ? Between(&this->random_, 0, 90) : 1;
      sequences.push_back({rows, rows + Between(&this->random_, 0, 2) * Between(&this->random_, 0, 200)});
    }
    SCOPED_TRACE(testing::Message() << "round " << round << ", " << shape.heads << " heads over " << shape.kv_heads
                                    << " of " << shape.dim << ", pages of " << shape.positions << ", window "
                                    << shape.window);
    const AttentionCase<TypeParam> test(&this->random_, shape, sequences);
    if (test.tokens() > 0) {
      test.Check(test.Run(this->device_));
    }
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TYPED_TEST(DeviceAttentionTest, GivesASequenceTheSameBitsInEveryBatch) {
  using T = TypeParam;
  for (const SequenceShape& own : {SequenceShape{1, 600}, SequenceShape{3, 80}, SequenceShape{40, 70}}) {
    for (const int64_t dim : {64, 40}) {
      std::vector<T> first;
      for (const std::vector<SequenceShape>& others :
           {std::vector<SequenceShape>{}, {{1, 300}, {1, 20}}, {{70, 90}, {0, 0}, {2, 500}}}) {
        std::mt19937 random(3);
        const CaseShape shape{4, 2, dim, 16};
        std::vector<SequenceShape> sequences = {own};
        sequences.insert(sequences.end(), others.begin(), others.end());
        AttentionCase<T> test(&random, shape, sequences);
        std::mt19937 numbers(4);
        test.Fill(0, &numbers);  // with the same numbers in each batch, in other pages
        const EmulatedLayerDevice device(sequences.size());
        std::vector<T> rows = test.Run(device);
        rows.resize(static_cast<size_t>(own.rows * test.RowElements()));
        if (first.empty()) {
          first = rows;
        }
        EXPECT_EQ(0, std::memcmp(first.data(), rows.data(), rows.size() * sizeof(T)))
            << own.rows << " rows of " << own.length << " beside " << others.size();
      }
    }
  }
}

// What a plan can have wrong: rows that it concerns are NaN, the others as they should be, and nothing else is read
// (as AddressSanitizer sees).
TYPED_TEST(DeviceAttentionTest, GivesNaNForWhatIsWrongInThePlan) {
  using T = TypeParam;
  const int64_t big = std::numeric_limits<int64_t>::max();
  struct Mistake {
    const char* name;
    int64_t first;  // rows that are NaN
    int64_t last;
    std::function<void(AttentionCase<T>*)> make;
  };
  // rows 0: one token; 1 to 30: a prompt; 31: one token over three parts
  const Mistake mistakes[] = {
      {"a length behind the pages", 0, 1, [&](auto* test) { test->lengths()[0] = big; }},
      {"a negative length", 0, 1, [&](auto* test) { test->lengths()[0] = -1; }},
      {"a length of fewer than the rows", 1, 31, [&](auto* test) { test->lengths()[1] = 29; }},
      {"no length of a long sequence", 31, 32, [&](auto* test) { test->lengths()[2] = 0; }},
      {"a page that there is not", 0, 1, [&](auto* test) { test->page_table()[test->page_starts()[0]] = big; }},
      {"a negative page", 1, 31, [&](auto* test) { test->page_table()[test->page_starts()[1]] = -5; }},
      {"a wrong page in the last part", 31, 32,
       [&](auto* test) { test->page_table()[test->page_starts()[2] + 37] = 1000; }},
      {"rows that begin late", 0, 32, [&](auto* test) { test->row_starts()[0] = 1; }},
      {"rows that end early", 0, 32, [&](auto* test) { test->row_starts()[3] = 31; }},
      {"rows behind the end", 0, 32, [&](auto* test) { test->row_starts()[3] = big; }},
      {"rows that fall", 0, 32, [&](auto* test) { test->row_starts()[1] = 32; }},
      {"pages that fall", 0, 32, [&](auto* test) { test->page_starts()[2] = -3; }},
      {"pages that end early", 0, 32, [&](auto* test) { test->page_starts()[3] -= 1; }},
  };
  for (const int64_t dim : {64, 40}) {
    for (const Mistake& mistake : mistakes) {
      SCOPED_TRACE(testing::Message() << mistake.name << ", heads of " << dim);
      AttentionCase<T> test(&this->random_, {4, 1, dim, 16}, {{1, 40}, {30, 40}, {1, 600}});
      const std::vector<T> right = test.Run(this->device_);
      mistake.make(&test);
      const std::vector<T> rows = test.Run(this->device_);
      for (int64_t i = 0; i < 32 * test.RowElements(); ++i) {
        const int64_t row = i / test.RowElements();
        if (row >= mistake.first && row < mistake.last) {
          ASSERT_TRUE(std::isnan(ToFloat(rows[i]))) << "row " << row;
        } else {
          ASSERT_EQ(right[i].bits, rows[i].bits) << "row " << row;
        }
      }
    }
  }
}

TEST(AttentionLaunchesTest, StaysWithinWhatABlockMayHave) {
  for (const int dim : {64, 80, 96, 128, 256}) {
    // CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": 99 KB on 8.6 and 8.9
    EXPECT_LE(cuda::AttentionShared(dim), 99 << 10) << dim;
  }
  // on 9.0 a multiprocessor has 228 KB, of which each block takes 1 KB besides its own
  EXPECT_LE(3 * (cuda::AttentionShared(128) + 1024), 228 << 10);
  EXPECT_LE(cuda::PlainShared(cuda::kPlainDim), 48 << 10);
}

}  // namespace
}  // namespace djl_lora
