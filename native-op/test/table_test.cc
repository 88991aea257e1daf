// SPDX-License-Identifier: Apache-2.0
#include "ops/table.h"

#include <cmath>
#include <limits>

#include "support.h"

namespace djl_lora {
namespace {

int64_t Create(const std::vector<int64_t>& in, const std::vector<int64_t>& out, int64_t type = 0) {
  return TableCreate(MakeTensor(in).get(), MakeTensor(out).get(), type);
}

class TableTest : public testing::Test {
 protected:
  // Two modules, [4 -> 3] and [2 -> 5].
  TableTest() : table_(Create({4, 2}, {3, 5})) {}
  ~TableTest() override { TableClose(table_); }

  std::string PutRefusal(const Tensor& weights, const std::vector<int64_t>& layout,
                         const std::vector<float>& scales = {1.0f, 1.0f}, int64_t slot = 0) {
    const Tensor layout_tensor = MakeTensor(layout, {static_cast<int64_t>(layout.size()) / 5, 5});
    return Refusal([&] { TablePut(table_, slot, weights.get(), layout_tensor.get(), MakeTensor(scales).get()); });
  }

  void Put(int64_t table, int64_t slot, float value = 0.0f) {
    const Tensor weights = MakeTensor(std::vector<float>(40, value));
    TablePut(table, slot, weights.get(), MakeTensor(kLayout, {2, 5}).get(),
             MakeTensor(std::vector<float>{1.0f, 1.0f}).get());
  }

  const std::vector<int64_t> kNone = {0, -1, -1, -1, -1};
  const std::vector<int64_t> kLayout = {2, 0, 8, 14, 17, 0, -1, -1, -1, -1};
  int64_t table_;
};

TEST_F(TableTest, NeverUsesAnIdAgain) {
  const int64_t first = Create({1}, {1});
  TableClose(first);
  const int64_t second = Create({1}, {1});
  EXPECT_GT(second, first);
  TableClose(second);
}

TEST_F(TableTest, KeepsWeightsUntilTheLastReaderIsDone) {
  const int64_t adapters = LiveAdapters();
  const int64_t handles = Tensor::Live();
  Put(table_, 3, 7.0f);
  EXPECT_EQ(adapters + 1, LiveAdapters());
  EXPECT_EQ(handles, Tensor::Live());  // the table has a copy of its own
  std::shared_ptr<const Snapshot> reader = FindTable("test", table_)->Read();
  TableRemove(table_, 3);
  EXPECT_EQ(adapters + 1, LiveAdapters());
  const AdapterModule& module = (*reader)[3]->modules[0];
  EXPECT_EQ(7.0f, static_cast<const float*>(module.a)[0]);
  EXPECT_EQ(2, module.rank);
  reader = nullptr;
  EXPECT_EQ(adapters, LiveAdapters());
  EXPECT_EQ(handles, Tensor::Live());
}

TEST_F(TableTest, ReplacesAndClosesWithoutLeaks) {
  const int64_t adapters = LiveAdapters();
  const int64_t tables = OpenTables();
  const int64_t table = Create({4, 2}, {3, 5});
  EXPECT_EQ(tables + 1, OpenTables());
  Put(table, 0);
  Put(table, 0);
  Put(table, 65535);
  EXPECT_EQ(adapters + 2, LiveAdapters());
  TableClose(table);
  EXPECT_EQ(adapters, LiveAdapters());
  EXPECT_EQ(tables, OpenTables());
}

TEST_F(TableTest, RefusesWhatIsNotThere) {
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot 0 of table", Refusal([&] { TableRemove(table_, 0); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot -1 of table", Refusal([&] { TableRemove(table_, -1); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot 9 of table", Refusal([&] { CheckTableRemove(table_, 9); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "no such table was created", Refusal([] { TableClose(0); }));
  const int64_t closed = Create({1}, {1});
  TableClose(closed);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "it was closed", Refusal([&] { TableClose(closed); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "it was closed", Refusal([&] { TableRemove(closed, 0); }));
}

TEST_F(TableTest, CreateRefusesWrongArguments) {
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "1 to 1048576 modules", Refusal([] { Create({}, {}); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "in_features is int64 [2] and out_features is int64 [1]", Refusal([] {
                        Create({1, 2}, {1});
                      }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module 0 has 0 inputs and 1 outputs", Refusal([] { Create({0}, {1}); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module 0 has 1 inputs and -3 outputs", Refusal([] { Create({1}, {-3}); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "dtype is 3, but it must be 0 (float32)",
                      Refusal([] { Create({1}, {1}, 3); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "dtype is 4294967296", Refusal([] { Create({1}, {1}, int64_t{1} << 32); }));
  const Tensor floats = MakeTensor(std::vector<float>{1.0f});
  const Tensor longs = MakeTensor(std::vector<int64_t>{1});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "in_features is float32 [1], but its type must be int64",
                      Refusal([&] { TableCreate(floats.get(), longs.get(), 0); }));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "out_features is missing",
                      Refusal([&] { TableCreate(longs.get(), nullptr, 0); }));
}

TEST_F(TableTest, PutRefusesWrongArguments) {
  const int64_t handles = Tensor::Live();
  const auto row = [&](std::vector<int64_t> first) {
    first.insert(first.end(), kNone.begin(), kNone.end());
    return first;
  };
  {
    const Tensor weights = MakeTensor(std::vector<float>(20));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "rank of module 0 is -1", PutRefusal(weights, row({-1, -1, -1, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "rank 0 and offsets 0 and -1",
                        PutRefusal(weights, row({0, 0, -1, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring,
                        "A of module 0 is [2, 4] at offset 13, which is not within weights float32 [20]",
                        PutRefusal(weights, row({2, 13, 0, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "A of module 0 is [2, 4] at offset -1",
                        PutRefusal(weights, row({2, -1, 0, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "B of module 0 is [3, 2] at offset 15",
                        PutRefusal(weights, row({2, 0, 15, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "out_scale of module 0 is [1, 3] at offset 18",
                        PutRefusal(weights, row({2, 0, 8, 18, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias of module 0 is [1, 3] at offset -2",
                        PutRefusal(weights, row({2, 0, 8, -1, -2})));
    constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "A of module 0", PutRefusal(weights, row({kHuge, 0, 0, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "A of module 0", PutRefusal(weights, row({1, kHuge, 0, -1, -1})));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "layout is int64 [1, 5]", PutRefusal(weights, kNone));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "scales is float32 [1]", PutRefusal(weights, kLayout, {1.0f}));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "scale of module 1 is nan", PutRefusal(weights, kLayout, {1.0f, NAN}));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "scale of module 0 is inf",
                        PutRefusal(weights, kLayout, {INFINITY, 1.0f}));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot is -1", PutRefusal(weights, kLayout, {1.0f, 1.0f}, -1));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot is 65536", PutRefusal(weights, kLayout, {1.0f, 1.0f}, 65536));
  }
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weights is bfloat16 [20], but its type must be float32",
                      PutRefusal(MakeTensor(std::vector<BFloat16>(20)), kLayout));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weights is float32 [4, 5], but it must have 1 dimension",
                      PutRefusal(MakeTensor(std::vector<float>(20), {4, 5}), kLayout));
  const Tensor wide = MakeTensor(std::vector<float>(40));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "must be contiguous",
                      PutRefusal(View(Describe("test", "wide", wide.get()), {20}, {2}, 0), kLayout));
  EXPECT_EQ(handles + 1, Tensor::Live());  // wide
}

}  // namespace
}  // namespace djl_lora
