// SPDX-License-Identifier: Apache-2.0
//
// Rows of the small layers in layers_cpu.h, written over a vector type V of 16 floats; see kernels_impl.h for what may
// stand here.
#ifndef DJL_LORA_CPU_LAYERS_IMPL_H_
#define DJL_LORA_CPU_LAYERS_IMPL_H_

#include "cpu/exp.h"
#include "cpu/kernels.h"
#include "cpu/up_to_16.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

// As T has it.
template <typename V, typename T>
DJL_LORA_INLINE typename V::Vec Rounded(typename V::Vec value) {
  T rounded[kLanes];
  V::Store(rounded, value);
  return V::Load(rounded);
}

template <typename V, typename T>
void RmsNormRow(const NormTask& task) {
  T* x = static_cast<T*>(task.x);
  const T* delta = static_cast<const T*>(task.delta);
  const T* weight = static_cast<const T*>(task.weight);
  T* result = static_cast<T*>(task.result);
  typename V::Vec squares = V::Zero();
  for (int64_t i = 0; i < task.size; i += kLanes) {
    const int64_t n = task.size - i;
    typename V::Vec value = LoadUpTo16<V>(x + i, n);
    if (delta != nullptr) {
      StoreUpTo16<V>(x + i, V::Add(value, LoadUpTo16<V>(delta + i, n)), n);
      value = LoadUpTo16<V>(x + i, n);
    }
    squares = V::MulAdd(value, value, squares);
  }
  float sum[4];
  V::Sum4(squares, V::Zero(), V::Zero(), V::Zero(), sum);
  const float factor = 1.0f / __builtin_sqrtf(sum[0] / static_cast<float>(task.size) + task.epsilon);
  for (int64_t i = 0; i < task.size; i += kLanes) {
    const int64_t n = task.size - i;
    const typename V::Vec normalised = Rounded<V, T>(V::Mul(LoadUpTo16<V>(x + i, n), V::Set(factor)));
    StoreUpTo16<V>(result + i, V::Mul(LoadUpTo16<V>(weight + i, n), normalised), n);
  }
}

template <typename V, typename T>
void SiluMul(const void* gate, const void* up, void* result, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i;
    float values[kLanes];
    V::Store(values, LoadUpTo16<V>(static_cast<const T*>(gate) + i, n));
    for (float& value : values) {
      const float e = ExpOfNegative(value < 0.0f ? value : -value);
      value = value * ((value < 0.0f ? e : 1.0f) / (1.0f + e));
    }
    const typename V::Vec activated = Rounded<V, T>(V::Load(values));
    StoreUpTo16<V>(static_cast<T*>(result) + i, V::Mul(activated, LoadUpTo16<V>(static_cast<const T*>(up) + i, n)), n);
  }
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_LAYERS_IMPL_H_
