// SPDX-License-Identifier: Apache-2.0
//
// The checks before the operators djl_lora::linear_rows and linear_rows_int8, and the operators themselves.
#ifndef DJL_LORA_OPS_LINEAR_H_
#define DJL_LORA_OPS_LINEAR_H_

#include <vector>

#include "cpu/linear_cpu.h"
#include "torch/stable_c.h"
#include "torch/tensor.h"

namespace djl_lora {

struct LinearArguments {
  AtenTensorHandle x;                // [..., in]; float32, float16 or bfloat16
  AtenTensorHandle weight;           // [out, in], of x's type; int8 with scale
  AtenTensorHandle scale = nullptr;  // float32 [out], or null
  AtenTensorHandle bias = nullptr;   // [out], of x's type, or null
};

// Refuses (ArgumentError) what LinearRows does not take; `operation` begins the message.
void CheckLinear(const char* operation, const LinearArguments& arguments);

// x times the weight, in rows: [..., out], contiguous. Does not choose by size; see FewRows.
Tensor LinearRows(const char* operation, const LinearArguments& arguments, int threads);

// Checked products of x [rows, in] with some weights [out, in] each, without scales or biases, and their results
// [rows, out], which nothing was written to. A product without elements has no problem.
struct LinearProducts {
  std::vector<Tensor> results;
  std::vector<LinearProblem> problems;
};
LinearProducts PrepareLinearGroup(const char* operation, AtenTensorHandle x,
                                  const std::vector<AtenTensorHandle>& weights);

// x [rows, in] times each of some weights [out, in], without scales or biases: [rows, out] of each.
std::vector<Tensor> LinearGroup(const char* operation, AtenTensorHandle x, const std::vector<AtenTensorHandle>& weights,
                                int threads);

// Whether LinearRows takes these tensors as they lie and is faster than libtorch's matmul: few rows, a contiguous x,
// and rows of the weight without gaps.
bool FewRows(const TensorInfo& x, const TensorInfo& weight);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_LINEAR_H_
