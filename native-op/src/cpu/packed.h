// SPDX-License-Identifier: Apache-2.0
//
// How B [out, rank] lies in an adapter that is ready for the kernels: in tiles of 16 outputs, so that one vector holds
// one rank component of 16 outputs and the products add up in y without a sum over lanes.
//   float32, float16, int8   [out / 16][rank][16]
//   bfloat16                 [out / 16][rank / 2][16][2]      pairs of rank components, as dot products take them
// Outputs are filled up with zeros to 16, and in bfloat16 the rank to an even number. A stays row-major.
#ifndef DJL_LORA_CPU_PACKED_H_
#define DJL_LORA_CPU_PACKED_H_

#include <cstdint>

#include "cpu/element.h"

namespace djl_lora {

// Elements of a packed B, those filled up included.
int64_t PackedBElements(ElementType type, int64_t out, int64_t rank);

// b [out, rank], row-major, into packed memory of that many elements. Types as above.
void PackB(ElementType type, const void* b, int64_t out, int64_t rank, void* packed);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_PACKED_H_
