// SPDX-License-Identifier: Apache-2.0
//
// A linear layer for a few rows: the weight streams through once, at the speed of the memory. Plain pointers, no
// framework; every argument was checked by the caller.
#ifndef DJL_LORA_CPU_LINEAR_CPU_H_
#define DJL_LORA_CPU_LINEAR_CPU_H_

#include <cstdint>
#include <vector>

#include "cpu/element.h"
#include "cpu/parallel.h"

namespace djl_lora {

// result[t, o] = round(scale[o] · (weight[o, :] · x[t, :]) + bias[o]), with sums in float32 and one rounding.
struct LinearProblem {
  ElementType type;  // of x, bias and result: float32, float16 or bfloat16
  int64_t rows;
  int64_t in;
  int64_t out;
  const void* x;  // [rows, in]
  int64_t x_stride;
  const void* weight;  // [out, in], of any alignment that its elements allow
  int64_t weight_stride;
  bool int8;           // the weight is int8, else of `type`
  const float* scale;  // [out] with int8, else null
  const void* bias;    // [out] or null
  void* result;        // [rows, out]
  int64_t result_stride;
};

// The bits of a row depend on that row, the weight and the kernels in use (isa.h) alone; in bfloat16 with tiles also on
// whether there are more than four rows, and more than 16.
// Several layers of one x: type, rows, in, x, x_stride and int8 are the same in all. They share threads and what is
// prepared of x; one call costs less than several. At least one.
void LinearCpu(const std::vector<LinearProblem>& problems, int threads);

// What the threads of a call go on with as they find no outputs left to take, while others may still compute theirs.
class NextWork {
 public:
  NextWork() = default;
  NextWork(const NextWork&) = delete;
  NextWork& operator=(const NextWork&) = delete;
  virtual ~NextWork() = default;

  virtual int64_t Operations() const = 0;  // multiply-adds
  virtual void Begin(int team) = 0;        // the number of threads that will call Work
  // `results` tells when the layers' results are there.
  virtual void Work(const Progress& results) = 0;
};

// As LinearCpu, with what comes behind it on the same threads.
void LinearCpu(const std::vector<LinearProblem>& problems, NextWork* next, int threads);

// The most rows for which LinearCpu is the faster way for a weight of this many inputs; libtorch's matmul takes what is
// more. Measured, see docs/results: short rows of x stay in the nearest cache while the weight streams by.
int64_t LinearCrossover(ElementType type, int64_t in);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_LINEAR_CPU_H_
