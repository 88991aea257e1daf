// SPDX-License-Identifier: Apache-2.0
//
// Loads and stores at the end of a row; see kernels_impl.h for what may stand here.
#ifndef DJL_LORA_CPU_UP_TO_16_H_
#define DJL_LORA_CPU_UP_TO_16_H_

#include "cpu/kernels.h"

#define DJL_LORA_INLINE inline __attribute__((always_inline))

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

// n: the elements that are left; 16 are taken where there are more.
template <typename V, typename T>
DJL_LORA_INLINE typename V::Vec LoadUpTo16(const T* p, int64_t n) {
  return n >= kLanes ? V::Load(p) : V::Load(p, n);
}

template <typename V, typename T>
DJL_LORA_INLINE void StoreUpTo16(T* p, typename V::Vec value, int64_t n) {
  if (n >= kLanes) {
    V::Store(p, value);
  } else {
    V::Store(p, value, n);
  }
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_UP_TO_16_H_
