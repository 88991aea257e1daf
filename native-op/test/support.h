// SPDX-License-Identifier: Apache-2.0
//
// What the tests share: element types by name, random numbers, tensors from vectors, and refusals.
#ifndef DJL_LORA_TEST_SUPPORT_H_
#define DJL_LORA_TEST_SUPPORT_H_

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/errors.h"
#include "cpu/element.h"
#include "torch/tensor.h"

namespace djl_lora {

template <typename T>
struct ElementTraits;

// kHalfUlp: the largest relative error of one rounding. kTiny: its largest absolute error below the normal range.
template <>
struct ElementTraits<float> {
  static constexpr ElementType kType = ElementType::kFloat32;
  static constexpr double kHalfUlp = 0x1p-24;
  static constexpr double kTiny = 0.0;
};
template <>
struct ElementTraits<BFloat16> {
  static constexpr ElementType kType = ElementType::kBFloat16;
  static constexpr double kHalfUlp = 0x1p-8;
  static constexpr double kTiny = 0.0;
};
template <>
struct ElementTraits<Float16> {
  static constexpr ElementType kType = ElementType::kFloat16;
  static constexpr double kHalfUlp = 0x1p-11;
  static constexpr double kTiny = 0x1p-25;
};
template <>
struct ElementTraits<int64_t> {
  static constexpr ElementType kType = ElementType::kInt64;
};

template <typename T>
std::vector<T> Random(std::mt19937* random, int64_t count, float factor = 1.0f) {
  std::normal_distribution<float> normal;
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) {
    value = FromFloat<T>(normal(*random) * factor);
  }
  return values;
}

inline int64_t Between(std::mt19937* random, int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(*random);
}

// A tensor with memory of its own.
template <typename T>
Tensor MakeTensor(const std::vector<T>& values, const std::vector<int64_t>& sizes) {
  Tensor tensor = Empty(sizes, ElementTraits<T>::kType);
  const TensorInfo info = Describe("test", "tensor", tensor.get());
  if (!values.empty()) {
    std::memcpy(info.data, values.data(), values.size() * sizeof(T));
  }
  return tensor;
}

template <typename T>
Tensor MakeTensor(const std::vector<T>& values) {
  return MakeTensor(values, {static_cast<int64_t>(values.size())});
}

template <typename T>
std::vector<T> Values(const Tensor& tensor) {
  const TensorInfo info = Describe("test", "tensor", tensor.get());
  return {info.As<T>(), info.As<T>() + info.numel};
}

// The message of the ArgumentError that the body throws.
template <typename Body>
std::string Refusal(const Body& body) {
  try {
    body();
  } catch (const ArgumentError& refused) {
    return refused.what();
  }
  return "(nothing was refused)";
}

}  // namespace djl_lora

#endif  // DJL_LORA_TEST_SUPPORT_H_
