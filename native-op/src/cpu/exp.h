// SPDX-License-Identifier: Apache-2.0
//
// The exponential function in float32, written so that compilers turn loops over it into vector code.
#ifndef DJL_LORA_CPU_EXP_H_
#define DJL_LORA_CPU_EXP_H_

#include <cstdint>

#include "cpu/element.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

// e^x for x <= 0, within 2 units in the last place; 0 below -87, where float32 ends but for subnormals; NaN for NaN.
// 2^n e^r with |r| <= ln(2) / 2, ln(2) taken away in two parts (Cody and Waite), the rest by the series to the seventh
// power.
inline __attribute__((always_inline)) float ExpOfNegative(float x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number
  const float bounded = x < -87.0f ? -87.0f : x;
  const float shifted = bounded * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (bounded - n * 0.693145751953125f) - n * 1.42860682e-6f;
  float e = 1.0f / 5040.0f;
  e = e * r + 1.0f / 720.0f;
  e = e * r + 1.0f / 120.0f;
  e = e * r + 1.0f / 24.0f;
  e = e * r + 1.0f / 6.0f;
  e = e * r + 0.5f;
  e = e * r + 1.0f;
  e = e * r + 1.0f;
  uint32_t exponent;
  __builtin_memcpy(&exponent, &shifted, sizeof(exponent));
  uint32_t bits;
  __builtin_memcpy(&bits, &e, sizeof(bits));
  bits += exponent << 23;
  float result;
  __builtin_memcpy(&result, &bits, sizeof(result));
  return x < -87.0f ? 0.0f : result;
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_EXP_H_
