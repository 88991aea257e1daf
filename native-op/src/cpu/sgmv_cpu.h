// SPDX-License-Identifier: Apache-2.0
//
// Segmented gather matrix-vector product (SGMV; Chen et al., "Punica: Multi-Tenant LoRA Serving", 2023): the low-rank
// update of many adapters over one batch. Plain pointers, no framework; every argument was checked by the caller.
//
//   y[t, :] = out_scale ⊙ (y[t, :] + scale · B (A x[t, :])) + bias       for rows t of each segment
//     x [tokens, in]   y [tokens, out], which holds the base product   A [rank, in]   B [out, rank]
#ifndef DJL_LORA_CPU_SGMV_CPU_H_
#define DJL_LORA_CPU_SGMV_CPU_H_

#include <cstdint>

#include "cpu/element.h"

namespace djl_lora {

// One adapter's share of one module. All pointers are to the problem's element type.
struct AdapterModule {
  int64_t rank = 0;                 // 0: no low-rank part
  const void* a = nullptr;          // [rank, in], rows without gaps
  const void* b = nullptr;          // [out, rank], rows without gaps
  const void* out_scale = nullptr;  // [out], or null for ones
  const void* bias = nullptr;       // [out], or null for the layer's own
  float scale = 0.0f;
};

// Rows [begin, end) of the batch, which all use one adapter.
struct SgmvSegment {
  int64_t begin;
  int64_t end;
  const AdapterModule* module;  // null: base rows
};

struct SgmvProblem {
  ElementType type;  // float32, float16 or bfloat16
  int64_t in;
  int64_t out;
  const void* x;
  int64_t x_stride;  // elements from one row to the next
  void* y;
  int64_t y_stride;
  const void* bias;  // [out], the layer's own, or null
  const SgmvSegment* segments;
  int64_t segment_count;
};

// True for the types that the kernels compute with.
constexpr bool IsKernelType(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kFloat16 || type == ElementType::kBFloat16;
}

// Computes y in place. Sums are float32 and each output is rounded once. The bits of a row depend on that row and its
// adapter alone: not on the number of threads, nor on what else is in the batch. Uses at most `threads` threads, and
// fewer where there is little to do. Throws std::bad_alloc before y is touched.
void SgmvCpu(const SgmvProblem& problem, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_SGMV_CPU_H_
