// SPDX-License-Identifier: Apache-2.0
//
// The checks before the operators djl_lora::sgmv, sgmv_stacked and sgmv_group, and the operators themselves.
#ifndef DJL_LORA_OPS_SGMV_H_
#define DJL_LORA_OPS_SGMV_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/sgmv_cpu.h"
#include "ops/sgmv_targets.h"
#include "ops/table.h"
#include "torch/stable_c.h"
#include "torch/tensor.h"

namespace djl_lora {

// Arguments that passed every check, with the snapshot that keeps the weights alive while they are used.
class CheckedSgmv {
 public:
  // Throws ArgumentError with the argument's name, what was found and what is allowed; changes nothing.
  explicit CheckedSgmv(const SgmvArguments& arguments);

  void Run(int threads) const { SgmvCpu(problem_, threads); }
  // Behind the products that write its ys, in that order. gated: as SgmvProblem has it.
  void RunBehind(const std::vector<LinearProblem>& products, void* gated, int threads) {
    problem_.gated = gated;
    LinearSgmvCpu(products, problem_, threads);
  }

 private:
  void CheckPlan(const SgmvArguments& arguments, const Table& table);
  // Asks for the adapters' entries all at once: read one after another each would be waited for.
  void PrefetchModules(const SgmvArguments& arguments, const int64_t* slots, int64_t count) const;
  void AddEntry(const SgmvArguments& arguments, const Table& table, int64_t segment, int64_t slot, float weight,
                bool stacked);

  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<SgmvSegment> segments_;
  std::vector<SgmvEntry> entries_;
  int64_t tokens_ = 0;
  SgmvProblem problem_{};
};

// x times the weight of each target, [rows, out] of each, with the adapters' parts and biases: what LinearGroup and
// then the operator give, in one go. The targets' y are not looked at. Does not choose by size; see FewRows.
std::vector<Tensor> LinearSgmv(const SgmvArguments& arguments, const std::vector<AtenTensorHandle>& weights,
                               int threads);

// What SiluMul gives of the two results of LinearSgmv, which is as wide as each.
Tensor GatedLinearSgmv(const SgmvArguments& arguments, const std::vector<AtenTensorHandle>& weights, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_SGMV_H_
