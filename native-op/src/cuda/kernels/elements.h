// SPDX-License-Identifier: Apache-2.0
//
// Eight neighbouring elements at a time: one access of 16 bytes where they are on such a boundary and all there.
#ifndef DJL_LORA_CUDA_KERNELS_ELEMENTS_H_
#define DJL_LORA_CUDA_KERNELS_ELEMENTS_H_

#include "layers_abi.h"
#include "platform.h"

namespace djl_lora {
namespace cuda {

// Elements [at, at + kVector) of `count`, zeros where there are none. aligned: whether `from`, and so every multiple of
// kVector, is on a boundary of 16 bytes. May be memory that this kernel writes.
DJL_LORA_DEVICE Vec16 LoadEight(const void* from, long long at, long long count, bool aligned) {
  const unsigned short* address = static_cast<const unsigned short*>(from) + at;
  if (aligned && at + kVector <= count) {
    return LoadWritten16(address);
  }
  Vec16 value{};
  DJL_LORA_UNROLL
  for (int pair = 0; pair < kVector / 2; ++pair) {
    const long long left = count - at - 2 * pair;
    const unsigned low = left > 0 ? address[2 * pair] : 0;
    const unsigned high = left > 1 ? address[2 * pair + 1] : 0;
    value.v[pair] = low | high << 16;
  }
  return value;
}

DJL_LORA_DEVICE void StoreEight(void* to, long long at, long long count, bool aligned, const Vec16& value) {
  unsigned short* address = static_cast<unsigned short*>(to) + at;
  if (aligned && at + kVector <= count) {
    Store16(address, value);
    return;
  }
  DJL_LORA_UNROLL
  for (int e = 0; e < kVector; ++e) {
    if (at + e < count) {
      address[e] = static_cast<unsigned short>(e % 2 == 0 ? value.v[e / 2] & 0xffff : value.v[e / 2] >> 16);
    }
  }
}

template <typename T>
DJL_LORA_DEVICE float LowOf(unsigned pair) {
  return Widen<T>(static_cast<unsigned short>(pair & 0xffff));
}
template <typename T>
DJL_LORA_DEVICE float HighOf(unsigned pair) {
  return Widen<T>(static_cast<unsigned short>(pair >> 16));
}
// To the nearest, ties to even.
template <typename T>
DJL_LORA_DEVICE unsigned short Round(float value) {
  return static_cast<unsigned short>(RoundPair<T>(value, 0.0f) & 0xffff);
}

DJL_LORA_DEVICE float NotANumber() { return BitsToFloat(0x7fc00000u); }

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_ELEMENTS_H_
