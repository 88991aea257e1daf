// SPDX-License-Identifier: Apache-2.0
//
// The element types that kernels compute with: how each is widened to float32 and rounded back.
#ifndef DJL_LORA_CPU_ELEMENT_H_
#define DJL_LORA_CPU_ELEMENT_H_

#include <cstdint>
#include <cstring>

namespace djl_lora {

// The codes that Java and the operators' schemas use for an element type.
enum class ElementType : int32_t {
  kOther = -1,
  kFloat32 = 0,
  kFloat16 = 1,
  kBFloat16 = 2,
  kInt64 = 3,
  kInt32 = 4,
  kBool = 5,
  kUInt8 = 6,
  kInt8 = 7,
  kFloat64 = 8,
};

// Bytes of one element; 0 for kOther.
constexpr int64_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kFloat16:
    case ElementType::kBFloat16:
      return 2;
    case ElementType::kInt64:
    case ElementType::kFloat64:
      return 8;
    case ElementType::kBool:
    case ElementType::kUInt8:
    case ElementType::kInt8:
      return 1;
    case ElementType::kOther:
      break;
  }
  return 0;
}

inline uint32_t FloatBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float BitsFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct BFloat16 {
  uint16_t bits;
};

struct Float16 {
  uint16_t bits;
};

inline float ToFloat(float value) { return value; }

inline float ToFloat(BFloat16 value) { return BitsFloat(static_cast<uint32_t>(value.bits) << 16); }

inline float ToFloat(Float16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(value.bits & 0x7fffu) << 13;
  if (magnitude >= 0x0f800000u) {  // infinity or NaN keeps an exponent of all ones
    return BitsFloat(sign | magnitude | 0x7f800000u);
  }
  // The exponent is short by 127 - 15; multiplying by the power of two also makes subnormal numbers normal.
  return BitsFloat(sign | FloatBits(BitsFloat(magnitude) * BitsFloat(0x77800000u)));
}

// Rounds a float32 to an element: to nearest, ties to even; NaN stays NaN and what is too large becomes infinity.
template <typename T>
T FromFloat(float value);

template <>
inline float FromFloat<float>(float value) {
  return value;
}

template <>
inline BFloat16 FromFloat<BFloat16>(float value) {
  const uint32_t bits = FloatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return BFloat16{static_cast<uint16_t>((bits >> 16) | 0x0040u)};
  }
  return BFloat16{static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

template <>
inline Float16 FromFloat<Float16>(float value) {
  const uint32_t bits = FloatBits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return Float16{static_cast<uint16_t>(sign | 0x7e00u)};
  }
  if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
    return Float16{static_cast<uint16_t>(sign | 0x7c00u)};
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 lets the float unit round to a multiple of 2^-24
    return Float16{static_cast<uint16_t>(sign | (FloatBits(BitsFloat(magnitude) + 0.5f) - 0x3f000000u))};
  }
  const uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return Float16{static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ELEMENT_H_
