// SPDX-License-Identifier: Apache-2.0
//
// The checks before the operator djl_lora::sgmv, and the operator itself.
#ifndef DJL_LORA_OPS_SGMV_H_
#define DJL_LORA_OPS_SGMV_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/sgmv_cpu.h"
#include "ops/table.h"
#include "torch/stable_c.h"

namespace djl_lora {

struct SgmvArguments {
  AtenTensorHandle y;               // [tokens, out], written
  AtenTensorHandle x;               // [tokens, in]
  AtenTensorHandle bias;            // [out], or null
  AtenTensorHandle segment_starts;  // int64 [segments + 1]
  AtenTensorHandle slots;           // int64 [segments]; -1 is a base row
  int64_t table;
  int64_t module;
};

// Arguments that passed every check, with the snapshot that keeps the weights alive while they are used.
class CheckedSgmv {
 public:
  // Throws ArgumentError with the argument's name, what was found and what is allowed; changes nothing.
  explicit CheckedSgmv(const SgmvArguments& arguments);

  void Run(int threads) const { SgmvCpu(problem_, threads); }

 private:
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<SgmvSegment> segments_;
  SgmvProblem problem_;
};

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_SGMV_H_
