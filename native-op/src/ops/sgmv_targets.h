// SPDX-License-Identifier: Apache-2.0
//
// The arguments of the SGMV operators, and the checks of x, the ys and their biases, which are the same on every
// device.
#ifndef DJL_LORA_OPS_SGMV_TARGETS_H_
#define DJL_LORA_OPS_SGMV_TARGETS_H_

#include <cstdint>
#include <vector>

#include "cpu/sgmv_cpu.h"
#include "ops/adapter_source.h"
#include "torch/stable_c.h"
#include "torch/tensor.h"

namespace djl_lora {

// One module of a call.
struct SgmvTarget {
  AtenTensorHandle y;     // [tokens, out], written
  AtenTensorHandle bias;  // [out], or null
  int64_t module;
};

// Which rows use which adapters. Without entry_starts each segment has the one slot of `slots` [segments], or none for
// -1. With it, segment s stacks the slots [entry_starts[s], entry_starts[s + 1]) with their weights.
struct SgmvPlan {
  AtenTensorHandle segment_starts;           // int64 [segments + 1]
  AtenTensorHandle slots;                    // int64 [entries]
  AtenTensorHandle entry_starts = nullptr;   // int64 [segments + 1], or null
  AtenTensorHandle entry_weights = nullptr;  // float32 [entries], with entry_starts
};

struct SgmvArguments {
  const char* name;                 // of the operator, for messages
  std::vector<SgmvTarget> targets;  // 1 to kMaxGroup
  AtenTensorHandle x;               // [tokens, in]
  SgmvPlan plan;
  int64_t table;
};

// Fills in the type, x and the outputs of a problem, and returns the number of rows. Throws ArgumentError with the
// argument's name, what was found and what is allowed.
int64_t CheckTargets(const SgmvArguments& arguments, const TableShape& table, const TensorPlace& place,
                     SgmvProblem* problem);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_SGMV_TARGETS_H_
