// SPDX-License-Identifier: Apache-2.0
#include "cpu/packed.h"

#include <cstring>

#include "cpu/kernels.h"

namespace djl_lora {

namespace {

// kPair rank components lie together.
template <typename T, int64_t kPair>
void Pack(const T* b, int64_t out, int64_t rank, T* packed) {
  const int64_t steps = (rank + kPair - 1) / kPair;
  for (int64_t first = 0; first < out; first += kLanes) {
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t o = first; o < first + kLanes; ++o) {
        for (int64_t r = step * kPair; r < (step + 1) * kPair; ++r) {
          *packed++ = o < out && r < rank ? b[o * rank + r] : T();
        }
      }
    }
  }
}

}  // namespace

int64_t PackedBElements(ElementType type, int64_t out, int64_t rank) {
  const int64_t columns = type == ElementType::kBFloat16 ? RoundUpToEven(rank) : rank;
  return (out + kLanes - 1) / kLanes * kLanes * columns;
}

void PackB(ElementType type, const void* b, int64_t out, int64_t rank, void* packed) {
  switch (type) {
    case ElementType::kFloat32:
      Pack<float, 1>(static_cast<const float*>(b), out, rank, static_cast<float*>(packed));
      break;
    case ElementType::kFloat16:
      Pack<Float16, 1>(static_cast<const Float16*>(b), out, rank, static_cast<Float16*>(packed));
      break;
    case ElementType::kBFloat16:
      Pack<BFloat16, 2>(static_cast<const BFloat16*>(b), out, rank, static_cast<BFloat16*>(packed));
      break;
    case ElementType::kInt8:
      Pack<int8_t, 1>(static_cast<const int8_t*>(b), out, rank, static_cast<int8_t*>(packed));
      break;
    default:
      break;  // refused by the caller
  }
}

}  // namespace djl_lora
