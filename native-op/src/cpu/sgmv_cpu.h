// SPDX-License-Identifier: Apache-2.0
//
// Segmented gather matrix-vector product (SGMV; Chen et al., "Punica: Multi-Tenant LoRA Serving", 2023): the low-rank
// update of many adapters over one batch. Plain pointers, no framework; every argument was checked by the caller.
//
//   y[t, :] = out_scale ⊙ (y[t, :] + Σ weight · scale · B (A x[t, :])) + bias      for rows t of each segment
//     x [tokens, in]   y [tokens, out], which holds the base product   A [rank, in]   B [out, rank]
//     the sum over the adapters of the segment, of which there are none, one, or a stack with a weight each
#ifndef DJL_LORA_CPU_SGMV_CPU_H_
#define DJL_LORA_CPU_SGMV_CPU_H_

#include <cstdint>
#include <vector>

#include "cpu/element.h"
#include "cpu/linear_cpu.h"

namespace djl_lora {

// One adapter's share of one module, ready for the kernels.
struct AdapterModule {
  int64_t rank = 0;                        // 0: no low-rank part
  const void* a = nullptr;                 // [rank, in], row-major
  const void* b = nullptr;                 // packed, see packed.h
  bool int8 = false;                       // A and B are int8, else of the problem's type
  const float* component_scale = nullptr;  // [rank], with int8: the scale of A's row times that of B's column
  const void* out_scale = nullptr;         // [out] of the problem's type, or null for ones
  const void* bias = nullptr;              // [out] of the problem's type, or null for the layer's own
  float scale = 0.0f;
};

// Modules that share x in one call: q, k and v, or gate and up.
constexpr int64_t kMaxGroup = 4;

// Adapters that one segment may stack.
constexpr int64_t kMaxStack = 64;

// One adapter of a segment.
struct SgmvEntry {
  const AdapterModule* modules[kMaxGroup];  // by output of the problem
  float weight;
};

// Rows [begin, end) of the batch, which all use the entries [first_entry, first_entry + entry_count). Only a segment of
// one entry may have an out_scale or a bias of its own.
struct SgmvSegment {
  int64_t begin;
  int64_t end;
  int64_t first_entry;
  int64_t entry_count;  // 0: base rows; at most kMaxStack
};

struct SgmvOutput {
  int64_t out;
  void* y;
  int64_t y_stride;  // elements from one row to the next
  const void* bias;  // [out], the layer's own, or null
};

struct SgmvProblem {
  ElementType type;  // float32, float16 or bfloat16
  int64_t in;
  const void* x;
  int64_t x_stride;
  SgmvOutput outputs[kMaxGroup];
  int64_t output_count;
  const SgmvSegment* segments;
  int64_t segment_count;
  const SgmvEntry* entries;
  // What a gated feed-forward part goes on with: silu(output 0) · output 1, of two outputs of one width. [tokens, out],
  // or null.
  void* gated = nullptr;
};

// True for the types that the kernels compute with.
constexpr bool IsKernelType(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kFloat16 || type == ElementType::kBFloat16;
}

// Computes the outputs in place. Sums are float32 and each output is rounded once. The bits of a row depend on that
// row, its adapters and the kernels in use (isa.h): not on the number of threads, nor on what else is in the batch or
// the group. Uses at most `threads` threads, and fewer where there is little to do. Throws std::bad_alloc before an
// output is touched.
void SgmvCpu(const SgmvProblem& problem, int threads);

// The base products and SgmvCpu behind them, in one go: `products` write the outputs of `problem`, in that order, from
// its x. The bits are those of one call after the other.
void LinearSgmvCpu(const std::vector<LinearProblem>& products, const SgmvProblem& problem, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_SGMV_CPU_H_
