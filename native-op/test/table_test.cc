// SPDX-License-Identifier: Apache-2.0
#include "ops/table.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "cpu/packed.h"
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

// Adapters of the same two modules in an arena.
class TableArenaTest : public TableTest {
 protected:
  static constexpr int64_t kArena = 64 * 16;

  ArenaPlace At(int64_t offset) const { return {arena_.get(), offset}; }

  // 20 random weights: rank 2 and both vectors in module 0, nothing in module 1.
  void PutAt(int64_t slot, const std::vector<float>& weights, const ArenaPlace& place) {
    TablePut(table_, slot, MakeTensor(weights).get(), MakeTensor(kLayout, {2, 5}).get(),
             MakeTensor(std::vector<float>{1.0f, 1.0f}).get(), place);
  }

  // The same in 8 bits, with integers from -8 on.
  void PutInt8At(int64_t slot, const ArenaPlace& place) {
    const Tensor weights = Empty({14}, ElementType::kInt8);
    auto* values = Describe("test", "weights", weights.get()).As<int8_t>();
    for (int8_t i = 0; i < 14; ++i) {
      values[i] = static_cast<int8_t>(i - 8);
    }
    const Tensor components = MakeTensor(std::vector<float>{2.0f, 3.0f, 4.0f, 5.0f});
    const Tensor vectors = MakeTensor(std::vector<float>{1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f});
    TablePutInt8(table_, slot, {weights.get(), components.get(), vectors.get()},
                 MakeTensor(std::vector<int64_t>{2, 0, 8, 0, 3, 0, -1, -1, -1, -1}, {2, 5}).get(),
                 MakeTensor(std::vector<float>{1.0f, 1.0f}).get(), place);
  }

  std::shared_ptr<const Adapter> In(int64_t slot) const { return (*FindTable("test", table_)->Read())[slot]; }

  int64_t OffsetOf(const Adapter& adapter) const {
    return adapter.data - Describe("test", "arena", arena_.get()).As<char>();
  }

  // Every number of an adapter, as its modules point to them.
  static std::vector<float> Numbers(const Adapter& adapter) {
    std::vector<float> numbers;
    const AdapterModule& module = adapter.modules[0];
    const int64_t b = PackedBElements(ElementType::kFloat32, 3, 2);
    for (int64_t i = 0; i < 8; ++i) {
      numbers.push_back(module.int8 ? static_cast<const int8_t*>(module.a)[i] : static_cast<const float*>(module.a)[i]);
    }
    for (int64_t i = 0; i < b; ++i) {
      numbers.push_back(module.int8 ? static_cast<const int8_t*>(module.b)[i] : static_cast<const float*>(module.b)[i]);
    }
    for (int64_t i = 0; i < 3; ++i) {
      numbers.push_back(static_cast<const float*>(module.out_scale)[i]);
      numbers.push_back(static_cast<const float*>(module.bias)[i]);
    }
    for (int64_t i = 0; module.int8 && i < 2; ++i) {
      numbers.push_back(module.component_scale[i]);
    }
    return numbers;
  }

  std::mt19937 random_{7};
  Tensor arena_ = Empty({kArena}, ElementType::kUInt8);
};

TEST_F(TableArenaTest, PutsAndMovesWhatOwnMemoryWouldHold) {
  const std::vector<float> weights = Random<float>(&random_, 20);
  PutAt(0, weights, {});
  PutInt8At(2, {});
  for (const int64_t slot : {1, 3}) {
    if (slot == 1) {
      PutAt(slot, weights, At(512));
    } else {
      PutInt8At(slot, At(512));
    }
    const std::vector<float> expected = Numbers(*In(slot - 1));
    const int64_t bytes = TableBytes(table_, slot - 1);
    EXPECT_EQ(bytes, TableBytes(table_, slot));
    // onto itself, apart, and overlapping in both directions
    for (const int64_t offset : {512, 640, 704, 640, 0, 64, 0}) {
      TableMove(table_, slot, offset);
      EXPECT_EQ(offset, OffsetOf(*In(slot)));
      EXPECT_EQ(expected, Numbers(*In(slot))) << "slot " << slot << " at " << offset;
      EXPECT_EQ(bytes, TableBytes(table_, slot));
      EXPECT_EQ(slot == 3, In(slot)->modules[0].int8);
    }
    TableRemove(table_, slot);
  }
}

TEST_F(TableArenaTest, KeepsTheArenaAlive) {
  const int64_t adapters = LiveAdapters();
  const int64_t handles = Tensor::Live();
  PutAt(0, std::vector<float>(20, 3.0f), At(128));
  EXPECT_EQ(handles + 1, Tensor::Live());
  arena_ = Tensor();
  Tensor other = Empty({kArena}, ElementType::kUInt8);  // would take the arena's memory if it were free
  std::memset(Describe("test", "other", other.get()).data, 0xff, kArena);
  EXPECT_EQ(3.0f, static_cast<const float*>(In(0)->modules[0].a)[7]);
  TableMove(table_, 0, 0);
  EXPECT_EQ(3.0f, static_cast<const float*>(In(0)->modules[0].a)[7]);
  TableRemove(table_, 0);
  EXPECT_EQ(adapters, LiveAdapters());
  EXPECT_EQ(handles, Tensor::Live());  // other is as many as the arena was
}

TEST_F(TableArenaTest, SaysBeforehandWhatAnAdapterTakes) {
  const Tensor layout = MakeTensor(kLayout, {2, 5});
  PutAt(0, std::vector<float>(20), {});
  EXPECT_EQ(TableBytes(table_, 0), TablePackedBytes(table_, layout.get(), false));
  PutInt8At(0, {});
  EXPECT_EQ(TableBytes(table_, 0), TablePackedBytes(table_, layout.get(), true));
  const auto refusal = [&](const std::vector<int64_t>& rows) {
    const Tensor wrong = MakeTensor(rows, {static_cast<int64_t>(rows.size()) / 5, 5});
    return Refusal([&] { TablePackedBytes(table_, wrong.get(), false); });
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "layout is int64 [1, 5], but table", refusal(kNone));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "the rank of module 0 is -1, but it must be from 0 to 1048576",
                      refusal({-1, -1, -1, -1, -1, 0, -1, -1, -1, -1}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "the rank of module 1 is 1048577",
                      refusal({0, -1, -1, -1, -1, 1048577, -1, -1, -1, -1}));
  const std::vector<int64_t> most(1024, (int64_t{1} << 31));
  const int64_t large = Create(most, most);
  std::vector<int64_t> rows;
  for (size_t i = 0; i < most.size(); ++i) {
    rows.insert(rows.end(), {1048576, 0, 0, -1, -1});
  }
  const Tensor huge = MakeTensor(rows, {1024, 5});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "the layout's ranks take more than 1152921504606846976 bytes",
                      Refusal([&] { TablePackedBytes(large, huge.get(), false); }));
  TableClose(large);
}

TEST_F(TableArenaTest, RefusesPlacesThatAreNotFree) {
  const std::vector<float> weights(20, 1.0f);
  PutAt(0, weights, {});
  const int64_t bytes = TableBytes(table_, 0);
  EXPECT_EQ(320, bytes);  // A, B and the two vectors: 1 + 2 + 1 + 1 cache lines
  std::memset(Describe("test", "arena", arena_.get()).data, 0x5a, kArena);
  const std::vector<char> before(kArena, 0x5a);
  const auto refusal = [&](const ArenaPlace& place) { return Refusal([&] { PutAt(1, weights, place); }); };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_put: offset is -64, but it must be a multiple of 64",
                      refusal(At(-64)));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_put: offset is 32, but it must be a multiple of 64",
                      refusal(At(32)));
  EXPECT_PRED_FORMAT2(testing::IsSubstring,
                      "table_put: the adapter's 320 bytes at offset 768 do not lie within arena uint8 [1024]",
                      refusal(At(768)));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "do not lie within arena", refusal(At(int64_t{1} << 62)));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "offset is 64, but there is no arena", refusal({nullptr, 64}));
  const Tensor floats = MakeTensor(std::vector<float>(256));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "arena is float32 [256], but its type must be uint8 or int8",
                      refusal({floats.get(), 0}));
  const TensorInfo arena = Describe("test", "arena", arena_.get());
  const Tensor square = View(arena, {2, 512}, {512, 1}, 0);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "arena is uint8 [2, 512], but it must have 1 dimension",
                      refusal({square.get(), 0}));
  const Tensor gaps = View(arena, {512}, {2}, 0);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "must be contiguous", refusal({gaps.get(), 0}));
  const Tensor shifted = View(arena, {512}, {1}, 8);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "arena uint8 [512] begins 8 bytes behind a multiple of 64",
                      refusal({shifted.get(), 0}));
  EXPECT_EQ(before, std::vector<char>(arena.As<char>(), arena.As<char>() + kArena));

  PutAt(1, weights, At(320));
  for (const int64_t offset : {64, 320, 576}) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "the 320 bytes overlap with those of the adapter in slot 1 of table",
                        Refusal([&] { PutAt(2, weights, At(offset)); }));
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "overlap with those of the adapter in slot 1", refusal(At(offset)));
  }
  PutAt(2, weights, At(0));
  PutAt(1, weights, At(640));  // the slot's adapter goes elsewhere
  EXPECT_EQ(640, OffsetOf(*In(1)));
}

TEST_F(TableArenaTest, RefusesWeightsInTheBytesThatItWrites) {
  const Tensor block = MakeTensor(std::vector<float>(256, 1.0f));
  const TensorInfo info = Describe("test", "block", block.get());
  const Tensor weights = View(info, {20}, {1}, 60);
  const Tensor arena = Wrap(info.data, {kArena}, ElementType::kUInt8);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_put: arena uint8 [320] shares memory with weights float32 [20]",
                      Refusal([&] {
                        TablePut(table_, 0, weights.get(), MakeTensor(kLayout, {2, 5}).get(),
                                 MakeTensor(std::vector<float>{1.0f, 1.0f}).get(), {arena.get(), 0});
                      }));
}

TEST_F(TableArenaTest, MoveRefusesWrongArguments) {
  const std::vector<float> weights(20, 2.0f);
  PutAt(0, weights, {});
  PutAt(1, weights, At(0));
  PutAt(2, weights, At(640));
  const auto refusal = [&](int64_t slot, int64_t offset) {
    std::string message = Refusal([&] { TableMove(table_, slot, offset); });
    EXPECT_EQ(message, Refusal([&] { CheckTableMove(table_, slot, offset); }));
    EXPECT_EQ(0, OffsetOf(*In(1)));
    return message;
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "lies in memory of its own, not in an arena", refusal(0, 0));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_move: slot 3 of table", refusal(3, 0));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_move: slot -1 of table", refusal(-1, 0));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_move: offset is -64", refusal(1, -64));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_move: offset is 1, but it must be a multiple of 64", refusal(1, 1));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "320 bytes at offset 768 do not lie within arena uint8 [1024]",
                      refusal(1, 768));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "overlap with those of the adapter in slot 2", refusal(1, 384));
  EXPECT_EQ(2.0f, static_cast<const float*>(In(2)->modules[0].a)[0]);
}

TEST_F(TableArenaTest, OtherSlotsAreReadWhileOneMoves) {
  const std::vector<float> still = Random<float>(&random_, 20);
  const std::vector<float> moving = Random<float>(&random_, 20);
  PutAt(0, still, At(704));
  PutAt(1, moving, At(0));
  const std::vector<float> expected = Numbers(*In(0));
  const std::vector<float> moved = Numbers(*In(1));
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done.load()) {
      EXPECT_EQ(expected, Numbers(*In(0)));
    }
  });
  for (int64_t i = 0; i < 2000; ++i) {
    TableMove(table_, 1, i % 7 * 64);
    EXPECT_EQ(moved, Numbers(*In(1)));
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace djl_lora
