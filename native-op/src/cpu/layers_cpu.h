// SPDX-License-Identifier: Apache-2.0
//
// Small layers of a transformer that libtorch would take several passes for. Plain pointers, no framework; every
// argument was checked by the caller.
#ifndef DJL_LORA_CPU_LAYERS_CPU_H_
#define DJL_LORA_CPU_LAYERS_CPU_H_

#include <cstdint>

#include "cpu/element.h"

namespace djl_lora {

// result[t, :] = weight ⊙ round(x[t, :] / sqrt(mean(x[t, :]²) + epsilon)), the rounding being to the element type
// before the weight is applied, as in Hugging Face's LlamaRMSNorm. x, delta and result [rows, size] without gaps,
// weight [size], all of one type.
struct RmsNormProblem {
  ElementType type;
  int64_t rows;
  int64_t size;
  void* x;            // written where there is a delta
  const void* delta;  // what is added to x first, and rounded; or null
  const void* weight;
  double epsilon;
  void* result;
};

void RmsNormCpu(const RmsNormProblem& problem, int threads);

// Rotary position embedding in place, in the form that turns the two halves of a head against each other (Su et al.,
// "RoFormer", 2021): (x1, x2) becomes (x1·cos - x2·sin, x2·cos + x1·sin), in float32, rounded once.
struct RotaryProblem {
  ElementType type;
  int64_t tokens;
  int64_t heads;
  int64_t half;  // half the size of a head
  void* x;       // [tokens, heads, 2 · half], the last dimension without gaps
  int64_t token_stride;
  int64_t head_stride;
  const float* cos;  // [tokens, half]
  int64_t cos_stride;
  const float* sin;  // [tokens, half]
  int64_t sin_stride;
};

void RotaryCpu(const RotaryProblem& problem, int threads);

// result[i] = round(round(gate[i] / (1 + e^-gate[i])) · up[i]), both roundings to the element type.
struct SiluMulProblem {
  ElementType type;
  int64_t count;
  const void* gate;
  const void* up;
  void* result;
};

void SiluMulCpu(const SiluMulProblem& problem, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_LAYERS_CPU_H_
