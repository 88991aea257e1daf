// SPDX-License-Identifier: Apache-2.0
//
// The operators as libtorch calls them, by name.
#include <atomic>
#include <thread>

#include "ops/register.h"
#include "ops/sgmv.h"
#include "ops/table.h"
#include "support.h"

namespace djl_lora {
namespace {

constexpr int64_t kIn = 4;
constexpr int64_t kOut = 3;

int64_t Create(ElementType type = ElementType::kFloat32) {
  const Tensor in = MakeTensor(std::vector<int64_t>{kIn});
  const Tensor out = MakeTensor(std::vector<int64_t>{kOut});
  return static_cast<int64_t>(
      CallOperator("djl_lora::table_create", "",
                   {Argument::Of(in.get()), Argument::Of(out.get()), Argument::Int(static_cast<int64_t>(type))}));
}

// An adapter of rank 1 whose A and B hold one value throughout.
void Put(int64_t table, int64_t slot, float value) {
  const Tensor weights = MakeTensor(std::vector<float>(kIn + kOut, value));
  const Tensor layout = MakeTensor(std::vector<int64_t>{1, 0, kIn, -1, -1}, {1, 5});
  const Tensor scales = MakeTensor(std::vector<float>{1.0f});
  CallOperator("djl_lora::table_put", "",
               {Argument::Int(table), Argument::Int(slot), Argument::Of(weights.get()), Argument::Of(layout.get()),
                Argument::Of(scales.get()), Argument::Optional(nullptr), Argument::Int(0)});
}

struct Call {
  int64_t table;
  int64_t module = 0;
  Tensor y = MakeTensor(std::vector<float>(2 * kOut, 1.0f), {2, kOut});
  Tensor x = MakeTensor(std::vector<float>(2 * kIn, 1.0f), {2, kIn});
  Tensor bias = MakeTensor(std::vector<float>(kOut, 0.5f));
  Tensor starts = MakeTensor(std::vector<int64_t>{0, 1, 2});
  Tensor slots = MakeTensor(std::vector<int64_t>{0, -1});

  void Run() const {
    CallOperator("djl_lora::sgmv", "",
                 {Argument::Of(y.get()), Argument::Of(x.get()), Argument::Optional(bias.get()),
                  Argument::Of(starts.get()), Argument::Of(slots.get()), Argument::Int(table), Argument::Int(module)});
  }

  std::string RunRefusal() const {
    const std::vector<float> before = Values<float>(y);
    std::string message = Refusal([this] { Run(); });
    EXPECT_EQ(before, Values<float>(y)) << message;
    return message;
  }
};

class OperatorTest : public testing::Test {
 protected:
  OperatorTest() : handles_(Tensor::Live()), table_(Create()) { Put(table_, 0, 2.0f); }
  ~OperatorTest() override {
    CallOperator("djl_lora::table_close", "", {Argument::Int(table_)});
    EXPECT_EQ(handles_, Tensor::Live());
    EXPECT_EQ(0, LiveAdapters());
  }

  Call MakeCall() const {
    Call call;
    call.table = table_;
    return call;
  }

  int64_t handles_;
  int64_t table_;
};

TEST_F(OperatorTest, AreRegistered) { EXPECT_EQ("", RegistrationError()); }

TEST_F(OperatorTest, SgmvAppliesAdapterAndBias) {
  const Call call = MakeCall();
  call.Run();
  EXPECT_EQ((std::vector<float>{17.5f, 17.5f, 17.5f, 1.5f, 1.5f, 1.5f}), Values<float>(call.y));
}

TEST_F(OperatorTest, PutAndMoveInAnArena) {
  const Tensor arena = Empty({1024}, ElementType::kInt8);
  const Tensor weights = MakeTensor(std::vector<float>(kIn + kOut, 2.0f));
  const Tensor layout = MakeTensor(std::vector<int64_t>{1, 0, kIn, -1, -1}, {1, 5});
  const Tensor scales = MakeTensor(std::vector<float>{1.0f});
  const auto bytes = static_cast<int64_t>(CallOperator(
      "djl_lora::table_packed_bytes", "", {Argument::Int(table_), Argument::Of(layout.get()), Argument::Bool(false)}));
  EXPECT_EQ(TableBytes(table_, 0), bytes);
  const auto put = [&](int64_t offset) {
    CallOperator("djl_lora::table_put", "",
                 {Argument::Int(table_), Argument::Int(1), Argument::Of(weights.get()), Argument::Of(layout.get()),
                  Argument::Of(scales.get()), Argument::Optional(arena.get()), Argument::Int(offset)});
  };
  const auto move = [&](int64_t offset) {
    CallOperator("djl_lora::table_move", "", {Argument::Int(table_), Argument::Int(1), Argument::Int(offset)});
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "do not lie within arena int8 [1024]", Refusal([&] { put(1024); }));
  put(1024 - bytes);
  move(64);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "table_move: offset is 8", Refusal([&] { move(8); }));
  Call call = MakeCall();
  call.slots = MakeTensor(std::vector<int64_t>{1, -1});
  call.Run();
  EXPECT_EQ((std::vector<float>{17.5f, 17.5f, 17.5f, 1.5f, 1.5f, 1.5f}), Values<float>(call.y));
  CallOperator("djl_lora::table_remove", "", {Argument::Int(table_), Argument::Int(1)});
}

TEST_F(OperatorTest, SgmvTakesNoBias) {
  Call call = MakeCall();
  call.bias = Tensor();
  call.Run();
  EXPECT_EQ((std::vector<float>{17.0f, 17.0f, 17.0f, 1.0f, 1.0f, 1.0f}), Values<float>(call.y));
}

TEST_F(OperatorTest, SgmvTakesRowsWithGaps) {
  Call call = MakeCall();
  const Tensor wide = MakeTensor(std::vector<float>(2 * (kOut + 2), 1.0f), {2, kOut + 2});
  call.y = View(Describe("test", "wide", wide.get()), {2, kOut}, {kOut + 2, 1}, 1);
  call.x = View(Describe("test", "x", call.x.get()), {2, kIn}, {0, 1}, 0);  // one row, twice
  call.Run();
  EXPECT_EQ((std::vector<float>{1.0f, 17.5f, 17.5f, 17.5f, 1.0f, 1.0f, 1.5f, 1.5f, 1.5f, 1.0f}), Values<float>(wide));
}

TEST_F(OperatorTest, SgmvTakesNoTokens) {
  Call call = MakeCall();
  call.y = MakeTensor(std::vector<float>(), {0, kOut});
  call.x = MakeTensor(std::vector<float>(), {0, kIn});
  call.starts = MakeTensor(std::vector<int64_t>{0});
  call.slots = MakeTensor(std::vector<int64_t>());
  call.Run();
}

TEST_F(OperatorTest, SgmvRefusesWrongRows) {
  Call call = MakeCall();
  call.y = MakeTensor(std::vector<float>(4), {2, 2});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "sgmv: y is float32 [2, 2], but module 0 of table", call.RunRefusal());
  call = MakeCall();
  call.y = MakeTensor(std::vector<float>(3), {3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y is float32 [3], but it must have 2 dimensions", call.RunRefusal());
  call = MakeCall();
  call.x = MakeTensor(std::vector<float>(10), {2, 5});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is float32 [2, 5], but module 0 of table", call.RunRefusal());
  call = MakeCall();
  call.x = MakeTensor(std::vector<float>(12), {3, 4});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is float32 [3, 4] and y is float32 [2, 3], but they must have the same",
                      call.RunRefusal());
  call = MakeCall();
  call.x = MakeTensor(std::vector<BFloat16>(8), {2, 4});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is bfloat16 [2, 4], but its type must be float32", call.RunRefusal());
  call = MakeCall();
  const Tensor tall = MakeTensor(std::vector<float>(8), {4, 2});
  call.x = View(Describe("test", "tall", tall.get()), {2, 4}, {1, 2}, 0);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is float32 [2, 4] with strides [1, 2], but its last dimension",
                      call.RunRefusal());
}

TEST_F(OperatorTest, SgmvRefusesSharedMemory) {
  const Tensor block = MakeTensor(std::vector<float>(64), {64});
  const TensorInfo info = Describe("test", "block", block.get());
  Call call = MakeCall();
  call.y = View(info, {2, kOut}, {1, 1}, 0);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "its rows must not overlap", call.RunRefusal());
  call.y = View(info, {2, kOut}, {kOut, 1}, 0);
  call.x = View(info, {2, kIn}, {kIn, 1}, 5);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y float32 [2, 3] shares memory with x float32 [2, 4]", call.RunRefusal());
  call.x = View(info, {2, kIn}, {kIn, 1}, 6);
  call.bias = View(info, {kOut}, {1}, 2);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "shares memory with bias", call.RunRefusal());
}

TEST_F(OperatorTest, SgmvRefusesAWrongBias) {
  Call call = MakeCall();
  call.bias = MakeTensor(std::vector<float>(2));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias is float32 [2], but module 0 of table", call.RunRefusal());
  call.bias = MakeTensor(std::vector<BFloat16>(3));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias is bfloat16 [3], but its type must be float32", call.RunRefusal());
  call.bias = MakeTensor(std::vector<float>(3), {1, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias is float32 [1, 3], but it must have 1 dimension", call.RunRefusal());
}

TEST_F(OperatorTest, SgmvRefusesAWrongPlan) {
  Call call = MakeCall();
  const auto starts = [&](const std::vector<int64_t>& values) {
    call.starts = MakeTensor(values);
    return call.RunRefusal();
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "segment_starts is int64 [2] and slots is int64 [2]", starts({0, 2}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "segment_starts runs from 1 to 2", starts({1, 1, 2}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "segment_starts runs from 0 to 3", starts({0, 1, 3}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "goes from 0 to 3 at segment 0", starts({0, 3, 2}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "goes from 0 to -1 at segment 0", starts({0, -1, 2}));
  call = MakeCall();
  const auto slots = [&](const std::vector<int64_t>& values) {
    call.slots = MakeTensor(values);
    return call.RunRefusal();
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot 1 of table", slots({0, 1}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slots has -2 at segment 0", slots({-2, 0}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slots has 1099511627776 at segment 1", slots({0, int64_t{1} << 40}));
  call = MakeCall();
  call.slots = MakeTensor(std::vector<float>(2));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slots is float32 [2], but its type must be int64", call.RunRefusal());
}

TEST_F(OperatorTest, SgmvRefusesAWrongTableOrModule) {
  Call call = MakeCall();
  call.module = 1;
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module is 1, but table", call.RunRefusal());
  call.module = -1;
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module is -1, but table", call.RunRefusal());
  call = MakeCall();
  call.table = 1 << 30;
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "there is no table 1073741824", call.RunRefusal());
}

TEST_F(OperatorTest, LibtorchsOwnFailuresAreNamed) {
  const Tensor x = MakeTensor(std::vector<float>(6), {2, 3});
  try {
    CallForTensor("aten::mm", "", {Argument::Of(x.get()), Argument::Of(x.get())});
    FAIL() << "shapes that do not fit were multiplied";
  } catch (const EngineError& failed) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "aten::mm called with float32 [2, 3], float32 [2, 3]", failed.what());
  }
  EXPECT_THROW(CallForTensor("aten::there_is_no_such_operator", "", {Argument::Of(x.get())}), EngineError);
}

TEST_F(OperatorTest, PutAndRemoveWhileSgmvRuns) {
  // Slot 1 changes all the time between values that a reader can tell apart, and is sometimes empty. Whatever a call
  // sees must be one adapter as a whole: with A = B = v, x = 1 and y = 0 the result is kIn · v².
  std::atomic<bool> stop{false};
  std::atomic<int64_t> good{0};
  std::atomic<int64_t> empty{0};
  std::atomic<int64_t> bad{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      const Tensor x = MakeTensor(std::vector<float>(kIn, 1.0f), {1, kIn});
      const Tensor starts = MakeTensor(std::vector<int64_t>{0, 1});
      const Tensor slots = MakeTensor(std::vector<int64_t>{1});
      while (!stop.load()) {
        const Tensor y = MakeTensor(std::vector<float>(kOut), {1, kOut});
        try {
          CheckedSgmv({"sgmv", {{y.get(), nullptr, 0}}, x.get(), {starts.get(), slots.get()}, table_}).Run(2);
        } catch (const ArgumentError&) {
          ++empty;
          continue;
        }
        const std::vector<float> values = Values<float>(y);
        const float v = values[0];
        const bool whole = values[1] == v && values[2] == v && (v == 4.0f || v == 16.0f || v == 36.0f);
        ++(whole ? good : bad);
      }
    });
  }
  for (int round = 0; round < 3000 || (round < 300000 && good.load() < 100); ++round) {
    Put(table_, 1, static_cast<float>(1 + round % 3));
    if (round % 5 == 0) {
      CallOperator("djl_lora::table_remove", "", {Argument::Int(table_), Argument::Int(1)});
    }
  }
  stop = true;
  for (std::thread& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(0, bad.load());
  EXPECT_GT(good.load(), 0);
}

}  // namespace
}  // namespace djl_lora
