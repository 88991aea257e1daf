// SPDX-License-Identifier: Apache-2.0
//
// Groups, weighted stacks and int8 adapters, through the operators.
#include <cmath>
#include <utility>

#include "ops/sgmv.h"
#include "ops/table.h"
#include "support.h"

namespace djl_lora {
namespace {

constexpr int64_t kIn = 4;

// Modules of 3, 2 and 5 outputs. Every adapter has rank 1 and one value v throughout, so that with x = 1 each output
// grows by 4 v² times the weight. Slot 4 has an out_scale in module 1, slot 5 a bias in module 2.
class GroupTest : public testing::Test {
 protected:
  GroupTest() : handles_(Tensor::Live()) {
    table_ = TableCreate(MakeTensor(std::vector<int64_t>{kIn, kIn, kIn, 7}).get(),
                         MakeTensor(std::vector<int64_t>{3, 2, 5, 3}).get(), 0);
    for (int64_t slot = 0; slot < 4; ++slot) {
      Put(slot, static_cast<float>(slot + 1), -1, -1);
    }
    Put(4, 1.0f, 40, -1);
    Put(5, 1.0f, -1, 40);
  }
  ~GroupTest() override {
    TableClose(table_);
    EXPECT_EQ(handles_, Tensor::Live());
  }

  void Put(int64_t slot, float value, int64_t out_scale, int64_t bias) {
    const Tensor weights = MakeTensor(std::vector<float>(64, value));
    const Tensor layout = MakeTensor(
        std::vector<int64_t>{1, 0, 4, -1, -1, 1, 8, 12, out_scale, -1, 1, 16, 20, -1, bias, 0, -1, -1, -1, -1}, {4, 5});
    TablePut(table_, slot, weights.get(), layout.get(), MakeTensor(std::vector<float>(4, 1.0f)).get());
  }

  struct Call {
    std::vector<int64_t> modules = {0, 1, 2};
    std::vector<Tensor> ys;
    std::vector<Tensor> biases;
    Tensor x = MakeTensor(std::vector<float>(4 * kIn, 1.0f), {4, kIn});
    Tensor starts = MakeTensor(std::vector<int64_t>{0, 1, 3, 4});
    Tensor slots = MakeTensor(std::vector<int64_t>{0, 2, -1});
    Tensor entry_starts;
    Tensor entry_weights;
  };

  Call MakeCall() {
    Call call;
    const int64_t outs[] = {3, 2, 5};
    for (const int64_t out : outs) {
      call.ys.push_back(MakeTensor(std::vector<float>(static_cast<size_t>(4 * out), 1.0f), {4, out}));
      call.biases.emplace_back();
    }
    return call;
  }

  // One row of base 1 uses slots 0 and 1, the next two none, and the last slot 3 with a weight of its own.
  Call MakeStack() {
    Call call = MakeCall();
    call.entry_starts = MakeTensor(std::vector<int64_t>{0, 2, 2, 3});
    call.slots = MakeTensor(std::vector<int64_t>{0, 1, 3});
    call.entry_weights = MakeTensor(std::vector<float>{0.5f, 2.0f, -1.0f});
    return call;
  }

  void Run(const Call& call) {
    const auto y = [&](size_t i) { return Argument::Optional(i < call.ys.size() ? call.ys[i].get() : nullptr); };
    const auto bias = [&](size_t i) {
      return Argument::Optional(i < call.biases.size() ? call.biases[i].get() : nullptr);
    };
    const auto module = [&](size_t i) { return Argument::Int(i < call.modules.size() ? call.modules[i] : 0); };
    CallOperator("djl_lora::sgmv_group", "",
                 {Argument::Of(call.x.get()), Argument::Of(call.ys[0].get()), bias(0), module(0), y(1), bias(1),
                  module(1), y(2), bias(2), module(2), y(3), bias(3), module(3), Argument::Of(call.starts.get()),
                  Argument::Of(call.slots.get()), Argument::Optional(call.entry_starts.get()),
                  Argument::Optional(call.entry_weights.get()), Argument::Int(table_)});
  }

  // Nothing may be written by a call that is refused.
  std::string RunRefusal(const Call& call) {
    std::vector<std::vector<float>> before;
    for (const Tensor& y : call.ys) {
      before.push_back(Values<float>(y));
    }
    std::string message = Refusal([&] { Run(call); });
    for (size_t i = 0; i < call.ys.size(); ++i) {
      EXPECT_EQ(before[i], Values<float>(call.ys[i])) << message;
    }
    return message;
  }

  int64_t handles_;
  int64_t table_;
};

std::vector<float> Rows(const std::vector<float>& values, int64_t out) {
  std::vector<float> result;
  for (const float value : values) {
    result.insert(result.end(), static_cast<size_t>(out), value);
  }
  return result;
}

TEST_F(GroupTest, AppliesEveryModule) {
  Call call = MakeCall();
  call.biases[1] = MakeTensor(std::vector<float>{0.5f, 0.5f});
  Run(call);
  EXPECT_EQ(Rows({5.0f, 37.0f, 37.0f, 1.0f}, 3), Values<float>(call.ys[0]));
  EXPECT_EQ(Rows({5.5f, 37.5f, 37.5f, 1.5f}, 2), Values<float>(call.ys[1]));
  EXPECT_EQ(Rows({5.0f, 37.0f, 37.0f, 1.0f}, 5), Values<float>(call.ys[2]));
}

TEST_F(GroupTest, StacksWithWeightsBesideBaseRows) {
  Call call = MakeStack();
  Run(call);
  for (size_t i = 0; i < 3; ++i) {
    // 0.5 · 4 + 2 · 16, and -64
    EXPECT_EQ(Rows({35.0f, 1.0f, 1.0f, -63.0f}, i == 0 ? 3 : i == 1 ? 2 : 5), Values<float>(call.ys[i]));
  }
}

TEST_F(GroupTest, StacksOneModule) {
  const Tensor y = MakeTensor(std::vector<float>(3, 1.0f), {1, 3});
  const Tensor x = MakeTensor(std::vector<float>(kIn, 1.0f), {1, kIn});
  const Tensor starts = MakeTensor(std::vector<int64_t>{0, 1});
  const Tensor entries = MakeTensor(std::vector<int64_t>{0, 2});
  const Tensor slots = MakeTensor(std::vector<int64_t>{0, 0});
  const Tensor weights = MakeTensor(std::vector<float>{1.0f, 0.25f});
  CallOperator("djl_lora::sgmv_stacked", "",
               {Argument::Of(y.get()), Argument::Of(x.get()), Argument::Optional(nullptr), Argument::Of(starts.get()),
                Argument::Of(entries.get()), Argument::Of(slots.get()), Argument::Of(weights.get()),
                Argument::Int(table_), Argument::Int(0)});
  EXPECT_EQ(std::vector<float>(3, 6.0f), Values<float>(y));
}

TEST_F(GroupTest, RefusesStacksOfScaledAdaptersByName) {
  Call call = MakeStack();
  call.slots = MakeTensor(std::vector<int64_t>{0, 4, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "stacks slot 4, whose adapter has an out_scale (DoRA or IA3) in module 1",
                      RunRefusal(call));
  call.slots = MakeTensor(std::vector<int64_t>{0, 1, 4});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "segment 2 stacks slot 4", RunRefusal(call));
  call.slots = MakeTensor(std::vector<int64_t>{5, 1, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slot 5, whose adapter has a bias of its own in module 2",
                      RunRefusal(call));
  // Alone and with weight 1 it is no stack.
  call.slots = MakeTensor(std::vector<int64_t>{0, 1, 4});
  call.entry_weights = MakeTensor(std::vector<float>{0.5f, 2.0f, 1.0f});
  Run(call);
}

TEST_F(GroupTest, RefusesWrongStacks) {
  Call call = MakeStack();
  call.entry_weights = MakeTensor(std::vector<float>{1.0f, NAN, 1.0f});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "entry_weights has nan for slot 1 at segment 0", RunRefusal(call));
  call.entry_weights = MakeTensor(std::vector<float>{1.0f, 1.0f});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "entry_weights is float32 [2] and entry_slots is int64 [3]",
                      RunRefusal(call));
  call = MakeStack();
  call.entry_starts = MakeTensor(std::vector<int64_t>{0, 3, 2, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "entry_starts goes from 3 to 2 at segment 1", RunRefusal(call));
  call.entry_starts = MakeTensor(std::vector<int64_t>{0, 2, 2, 2});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "entry_starts runs from 0 to 2", RunRefusal(call));
  call.entry_starts = MakeTensor(std::vector<int64_t>{0, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "entry_starts is int64 [2]", RunRefusal(call));
  call = MakeStack();
  call.slots = MakeTensor(std::vector<int64_t>{0, -1, 3});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "slots has -1 at segment 0", RunRefusal(call));
}

TEST_F(GroupTest, RefusesWrongGroups) {
  Call call = MakeCall();
  call.modules = {0, 3, 2};
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module 0 takes 4 inputs and module 3 takes 7, but a group shares x",
                      RunRefusal(call));
  call.modules = {0, 9, 2};
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "module is 9, but table", RunRefusal(call));
  call = MakeCall();
  call.ys[1] = MakeTensor(std::vector<float>(6), {3, 2});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y1 is float32 [3, 2] and y0 is float32 [4, 3]", RunRefusal(call));
  call = MakeCall();
  call.ys[1] = Tensor();
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y2 or bias2 is given, but y1 is missing", Refusal([&] { Run(call); }));
  call = MakeCall();
  const Tensor block = MakeTensor(std::vector<float>(64), {64});
  const TensorInfo info = Describe("test", "block", block.get());
  call.ys[0] = View(info, {4, 3}, {3, 1}, 0);
  call.ys[1] = View(info, {4, 2}, {2, 1}, 11);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y1 float32 [4, 2] shares memory with y0", RunRefusal(call));
  // Columns of one matrix, as q, k and v of a fused projection, do not overlap.
  call.ys[0] = View(info, {4, 3}, {10, 1}, 0);
  call.ys[1] = View(info, {4, 2}, {10, 1}, 3);
  call.ys[2] = View(info, {4, 5}, {10, 1}, 5);
  Run(call);
  call.ys[2] = View(info, {4, 5}, {10, 1}, 4);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "shares memory with", RunRefusal(call));
}

TEST_F(GroupTest, MultipliesWithTheBaseWeightsInTheSameCall) {
  const Call call = MakeStack();
  std::vector<Tensor> weights;
  SgmvArguments arguments{"linearSgmv",
                          {},
                          call.x.get(),
                          {call.starts.get(), call.slots.get(), call.entry_starts.get(), call.entry_weights.get()},
                          table_};
  std::vector<AtenTensorHandle> handles;
  const int64_t outs[] = {3, 2, 5};
  for (int64_t i = 0; i < 3; ++i) {
    weights.push_back(MakeTensor(std::vector<float>(static_cast<size_t>(outs[i] * kIn), 0.25f), {outs[i], kIn}));
    handles.push_back(weights.back().get());
    arguments.targets.push_back({nullptr, nullptr, i});
  }
  const std::vector<Tensor> results = LinearSgmv(arguments, handles, 2);
  for (size_t i = 0; i < 3; ++i) {
    // the base product is 1, as in StacksWithWeightsBesideBaseRows
    EXPECT_EQ(Rows({35.0f, 1.0f, 1.0f, -63.0f}, outs[i]), Values<float>(results[i]));
  }

  const auto refusal = [&](const SgmvArguments& wrong, const std::vector<AtenTensorHandle>& with) {
    return Refusal([&] { GatedLinearSgmv(wrong, with, 1); });
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "the group has 3 modules, but with a gate it must have 2",
                      refusal(arguments, handles));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weights has 2 values and modules 3",
                      refusal(arguments, {handles[0], handles[1]}));
  arguments.targets.pop_back();
  handles.pop_back();
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "gate is float32 [4, 3] and up is float32 [4, 2]",
                      refusal(arguments, handles));
  std::swap(handles[0], handles[1]);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "y0 is float32 [4, 2], but module 0 of table", refusal(arguments, handles));
  const Tensor wide = MakeTensor(std::vector<float>(15), {3, 5});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "x is float32 [4, 4] and weight is float32 [3, 5]",
                      refusal(arguments, {wide.get(), handles[1]}));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weight is missing", refusal(arguments, {nullptr, handles[1]}));
}

TEST_F(GroupTest, TakesInt8Adapters) {
  const auto bytes = [](const std::vector<int8_t>& values) {
    Tensor tensor = Empty({static_cast<int64_t>(values.size())}, ElementType::kInt8);
    std::memcpy(Describe("test", "tensor", tensor.get()).data, values.data(), values.size());
    return tensor;
  };
  const std::vector<int64_t> rows = {1, 0, 4, -1, 0, 0, -1, -1, -1, -1, 0, -1, -1, -1, -1, 0, -1, -1, -1, -1};
  const Tensor layout = MakeTensor(rows, {4, 5});
  const Tensor scales = MakeTensor(std::vector<float>{2.0f, 1.0f, 1.0f, 1.0f});
  const Tensor weights = bytes({1, 2, 3, -4, 10, 20, -30});
  const Tensor components = MakeTensor(std::vector<float>{0.5f, 0.25f});
  const Tensor vectors = MakeTensor(std::vector<float>{100.0f, 200.0f, 300.0f});
  TablePutInt8(table_, 6, {weights.get(), components.get(), vectors.get()}, layout.get(), scales.get());
  EXPECT_GT(TableBytes(table_, 6), 7);
  Call call = MakeCall();
  call.slots = MakeTensor(std::vector<int64_t>{6, -1, -1});
  Run(call);
  // A x = (1 + 2 + 3 - 4) · 0.5 = 1, then 2 · 0.25 · B, and the adapter's bias
  const std::vector<float> y = Values<float>(call.ys[0]);
  EXPECT_EQ((std::vector<float>{106.0f, 211.0f, 286.0f, 1.0f}), (std::vector<float>{y[0], y[1], y[2], y[3]}));

  const auto refusal = [&](AtenTensorHandle w, AtenTensorHandle c, AtenTensorHandle v) {
    return Refusal([&] { TablePutInt8(table_, 6, {w, c, v}, layout.get(), scales.get()); });
  };
  const Tensor one = MakeTensor(std::vector<float>{1.0f});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "component_scales is float32 [1], but the layout's ranks take [2]",
                      refusal(weights.get(), one.get(), vectors.get()));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "bias of module 0 is [1, 3] at offset 0, which is not within vectors",
                      refusal(weights.get(), components.get(), nullptr));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "weights is float32 [3], but its type must be int8",
                      refusal(vectors.get(), components.get(), vectors.get()));
  const Tensor bad = MakeTensor(std::vector<float>{1.0f, INFINITY});
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "component_scales has inf at index 1",
                      refusal(weights.get(), bad.get(), vectors.get()));
}

}  // namespace
}  // namespace djl_lora
