// SPDX-License-Identifier: Apache-2.0
#include "torch/tensor.h"

#include "support.h"

namespace djl_lora {
namespace {

TEST(TensorTest, ViewsOfViewsCountFromTheirOwnFirstElement) {
  const Tensor tensor = MakeTensor(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor view = View(Describe("test", "tensor", tensor.get()), {6}, {1}, 2);
  const Tensor inner = View(Describe("test", "view", view.get()), {2}, {1}, 3);
  EXPECT_EQ((std::vector<float>{5, 6}), Values<float>(inner));
}

TEST(TensorTest, KnowsWhatIsContiguous) {
  const Tensor tensor = MakeTensor(std::vector<float>(24), {2, 3, 4});
  const TensorInfo info = Describe("test", "tensor", tensor.get());
  const auto contiguous = [&](const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
    const Tensor view = View(info, sizes, strides, 0);
    return Describe("test", "view", view.get()).Contiguous();
  };
  EXPECT_TRUE(info.Contiguous());
  EXPECT_TRUE(contiguous({1, 3, 4}, {99, 4, 1}));
  EXPECT_TRUE(contiguous({2, 0, 4}, {1, 1, 1}));
  EXPECT_TRUE(contiguous({}, {}));
  EXPECT_FALSE(contiguous({2, 3, 2}, {12, 4, 1}));
  EXPECT_FALSE(contiguous({2, 2}, {0, 1}));
}

TEST(TensorTest, SpansWhatItsElementsDo) {
  const Tensor tensor = MakeTensor(std::vector<float>(24), {2, 3, 4});
  const TensorInfo info = Describe("test", "tensor", tensor.get());
  EXPECT_EQ(96u, info.Span().second - info.Span().first);
  const Tensor view = View(info, {2, 2}, {12, 1}, 1);
  const TensorInfo part = Describe("test", "view", view.get());
  EXPECT_EQ(info.Span().first + 4, part.Span().first);
  EXPECT_EQ(14u * 4, part.Span().second - part.Span().first);
}

TEST(TensorTest, CountsTheHandlesThatItOwns) {
  const int64_t live = Tensor::Live();
  {
    Tensor first = MakeTensor(std::vector<float>(3));
    Tensor second = Share(first.get());
    EXPECT_EQ(live + 2, Tensor::Live());
    second = std::move(first);
    first = Tensor();
    EXPECT_EQ(live + 1, Tensor::Live());
    aoti_torch_delete_tensor_object(second.release());
    EXPECT_EQ(live, Tensor::Live());
  }
  EXPECT_EQ(live, Tensor::Live());
}

}  // namespace
}  // namespace djl_lora
