// SPDX-License-Identifier: Apache-2.0
//
// What cuda/kernels/platform.h gives the kernels, on the host.
#ifndef DJL_LORA_TEST_CUDA_EMULATED_PLATFORM_H_
#define DJL_LORA_TEST_CUDA_EMULATED_PLATFORM_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "cpu/element.h"
#include "cuda/emulator.h"
#include "cuda/kernels/abi.h"

#define DJL_LORA_DEVICE inline
#define DJL_LORA_DEVICE_MEMBER inline
#define DJL_LORA_UNROLL
#define DJL_LORA_KEEP_LOOP
#define DJL_LORA_UNROLL_BY(times)
#define DJL_LORA_CLUSTERS
#ifdef DJL_LORA_FIXED
#define DJL_LORA_KERNEL_LINKAGE static  // one program has kernels of these names for several shapes
#else
#define DJL_LORA_KERNEL_LINKAGE
#endif
#define DJL_LORA_KERNEL(name, threads, blocks) \
  DJL_LORA_KERNEL_LINKAGE void name(const djl_lora::cuda::SgmvParams& params)
#define DJL_LORA_KERNEL_OF(Params, name, threads, blocks) void name(const djl_lora::cuda::Params& params)

namespace djl_lora::cuda {

using djl_lora::BFloat16;
using djl_lora::Float16;

struct alignas(8) Vec8 {
  unsigned v[2];
};
struct alignas(16) Vec16 {
  unsigned v[4];
};
struct alignas(16) Floats4 {
  float v[4];
};

inline int ThreadIndex() { return static_cast<int>(emulator::ThreadIndex()); }
inline int BlockX() { return static_cast<int>(emulator::BlockIndex(0)); }
inline int BlockY() { return static_cast<int>(emulator::BlockIndex(1)); }
inline int BlockZ() { return static_cast<int>(emulator::BlockIndex(2)); }
inline void SyncBlock() { emulator::SyncBlock(); }
inline char* SharedMemory() { return emulator::SharedMemory(); }

inline int ShuffleUp(int value, int distance) {
  const uint32_t operands[] = {static_cast<uint32_t>(value), static_cast<uint32_t>(distance)};
  uint32_t result = 0;
  emulator::ExchangeInWarp(
      operands, 2,
      [](emulator::Exchange* all) {
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          const uint32_t distance = all->operands[lane][1];
          all->results[lane][0] = all->operands[lane >= distance ? lane - distance : lane][0];
        }
      },
      &result, 1);
  return static_cast<int>(result);
}

inline int Shuffle(int value, int from) {
  const uint32_t operands[] = {static_cast<uint32_t>(value), static_cast<uint32_t>(from)};
  uint32_t result = 0;
  emulator::ExchangeInWarp(
      operands, 2,
      [](emulator::Exchange* all) {
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          all->results[lane][0] = all->operands[all->operands[lane][1]][0];
        }
      },
      &result, 1);
  return static_cast<int>(result);
}

inline uint32_t ShuffleXorBits(uint32_t value, uint32_t mask) {
  const uint32_t operands[] = {value, mask};
  uint32_t result = 0;
  emulator::ExchangeInWarp(
      operands, 2,
      [](emulator::Exchange* all) {
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          all->results[lane][0] = all->operands[lane ^ all->operands[lane][1]][0];
        }
      },
      &result, 1);
  return result;
}
inline float ShuffleXor(float value, int mask) {
  return BitsFloat(ShuffleXorBits(FloatBits(value), static_cast<uint32_t>(mask)));
}
inline int ShuffleXor(int value, int mask) {
  return static_cast<int>(ShuffleXorBits(static_cast<uint32_t>(value), static_cast<uint32_t>(mask)));
}
inline bool AnyInWarp(bool condition) {
  const uint32_t operand = condition ? 1 : 0;
  uint32_t result = 0;
  emulator::ExchangeInWarp(
      &operand, 1,
      [](emulator::Exchange* all) {
        uint32_t any = 0;
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          any |= all->operands[lane][0];
        }
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          all->results[lane][0] = any;
        }
      },
      &result, 1);
  return result != 0;
}
inline void SyncWarp() { AnyInWarp(false); }
inline int ThreadCount() { return static_cast<int>(emulator::ThreadCount()); }
inline bool AnyInBlock(bool condition) { return emulator::AnyInBlock(condition); }

inline float SquareRoot(float value) { return std::sqrt(value); }
inline float Exp2(float value) { return std::exp2(value); }
inline float Max(float a, float b) { return std::fmax(a, b); }

// A GPU faults where an address is not a multiple of the size.
template <typename V>
V LoadAligned(const void* address) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(V) != 0) {
    throw std::runtime_error("a load of " + std::to_string(sizeof(V)) + " bytes that is not aligned");
  }
  V value;
  std::memcpy(&value, address, sizeof(V));
  return value;
}
inline Vec16 LoadWeights16(const void* address) { return LoadAligned<Vec16>(address); }
inline Vec8 LoadWeights8(const void* address) { return LoadAligned<Vec8>(address); }
template <typename V>
V Load(const V* address) {
  return LoadAligned<V>(address);
}
inline Vec16 Load16(const void* address) { return LoadAligned<Vec16>(address); }
inline Vec16 LoadWritten16(const void* address) { return LoadAligned<Vec16>(address); }
inline Floats4 LoadFloats4(const float* address) { return LoadAligned<Floats4>(address); }
inline float LoadWrittenFloat(const float* address) { return LoadAligned<float>(address); }
inline void Store16(void* address, const Vec16& value) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(value) != 0) {
    throw std::runtime_error("a store of 16 bytes that is not aligned");
  }
  std::memcpy(address, &value, sizeof(value));
}
inline bool Aligned16(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }

inline float BitsToFloat(unsigned bits) { return BitsFloat(bits); }
inline unsigned FloatToBits(float value) { return FloatBits(value); }

template <typename T>
float Widen(unsigned short bits) {
  return ToFloat(T{bits});
}
template <typename T>
unsigned RoundPair(float low, float high) {
  return FromFloat<T>(low).bits | static_cast<unsigned>(FromFloat<T>(high).bits) << 16;
}
// To the nearest, ties away from zero.
inline unsigned RoundToTf32(float value) {
  const unsigned bits = FloatBits(value);
  return std::isfinite(value) ? (bits + 0x1000u) & ~0x1fffu : bits;
}

// The fragments of mma.sync (PTX ISA, "Matrix Fragments for mma.m16n8k16" and "mma.m16n8k8"): lane 4 · g + t has
//   of a: the rows g (registers 0 and 2) and g + 8 (1 and 3); of b: the column g
//   of both: features from `per_register` · t on in the first register of a row, half of all features further on in the
//   second
//   of the sums: the rows g (0 and 1) and g + 8 (2 and 3), the columns 2t and 2t + 1
template <int kFeatures, typename Element>
void MultiplyFragments(emulator::Exchange* all, const Element& element) {
  constexpr int kPerRegister = kFeatures / 8;
  for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const uint32_t row = lane / 4;  // and register 1 or 3 for 8 rows below
      const uint32_t column = lane % 4 * 2 + static_cast<uint32_t>(i % 2);
      double sum = BitsFloat(all->operands[lane][6 + i]);
      for (int k = 0; k < kFeatures; ++k) {
        const uint32_t t = static_cast<uint32_t>(k % (kFeatures / 2) / kPerRegister);
        const int second = k / (kFeatures / 2);
        sum += static_cast<double>(element(all->operands[4 * row + t][2 * second + i / 2], k % kPerRegister)) *
               element(all->operands[4 * column + t][4 + second], k % kPerRegister);
      }
      all->results[lane][i] = FloatBits(static_cast<float>(sum));
    }
  }
}

inline void MultiplyInWarp(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                           unsigned b1, emulator::Compute compute) {
  const uint32_t operands[] = {
      a0, a1, a2, a3, b0, b1, FloatBits(sums[0]), FloatBits(sums[1]), FloatBits(sums[2]), FloatBits(sums[3])};
  uint32_t results[4];
  emulator::ExchangeInWarp(operands, 10, compute, results, 4);
  for (int i = 0; i < 4; ++i) {
    sums[i] = BitsFloat(results[i]);
  }
}

template <typename T>
void Multiply(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  MultiplyInWarp(sums, a0, a1, a2, a3, b0, b1, [](emulator::Exchange* all) {
    MultiplyFragments<16>(all, [](uint32_t bits, int which) {
      return Widen<T>(static_cast<unsigned short>(which == 0 ? bits & 0xffff : bits >> 16));
    });
  });
}

// Of a number in tf32 the low 13 bits are not looked at.
inline void MultiplyTf32(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                         unsigned b1) {
  MultiplyInWarp(sums, a0, a1, a2, a3, b0, b1, [](emulator::Exchange* all) {
    MultiplyFragments<8>(all, [](uint32_t bits, int) { return BitsFloat(bits & ~0x1fffu); });
  });
}

using SharedPlace = uintptr_t;
inline SharedPlace SharedPlaceOf(const void* shared) { return reinterpret_cast<uintptr_t>(shared); }

inline void CopyAsync16(SharedPlace shared, const void* global, bool really) {
  if (shared % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0) {
    throw std::runtime_error("a copy of 16 bytes that is not aligned");
  }
  emulator::CopyLater(reinterpret_cast<void*>(shared), really ? global : nullptr, 16);
}
inline void CommitCopies() { emulator::CommitCopies(); }
template <int kLatest>
void WaitForCopies() {
  emulator::WaitForCopies(kLatest);
}

// PTX ISA, "ldmatrix" with .trans
inline void LoadTransposed(unsigned (&matrices)[4], SharedPlace row) {
  if (row % 16 != 0) {
    throw std::runtime_error("a row of a matrix that is not aligned");
  }
  const uint32_t operands[] = {static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32)};
  emulator::ExchangeInWarp(
      operands, 2,
      [](emulator::Exchange* all) {
        const auto element = [all](uint32_t matrix, uint32_t row, uint32_t column) {
          const uint32_t* operands = all->operands[8 * matrix + row];
          const auto* place = reinterpret_cast<const uint16_t*>(operands[0] | static_cast<uint64_t>(operands[1]) << 32);
          return static_cast<uint32_t>(place[column]);
        };
        for (uint32_t lane = 0; lane < emulator::kLanes; ++lane) {
          for (uint32_t m = 0; m < 4; ++m) {
            all->results[lane][m] = element(m, 2 * (lane % 4), lane / 4) | element(m, 2 * (lane % 4) + 1, lane / 4)
                                                                               << 16;
          }
        }
      },
      matrices, 4);
}

inline void Report(DeviceError* error, int code, int segment, int value) {
  if (error->code == kNoError) {
    *error = {code, segment, value, 0};
  }
}

// One kernel runs after the other here.
inline void LetNextBegin() {}
inline void WaitForPrevious() {}

inline void ArriveAtCluster() { emulator::ArriveAtCluster(); }
inline void WaitForCluster() { emulator::WaitForCluster(); }
inline float LoadFromBlock(const float* own, int block) {
  return *static_cast<const float*>(emulator::InBlock(own, static_cast<unsigned>(block)));
}

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_TEST_CUDA_EMULATED_PLATFORM_H_
