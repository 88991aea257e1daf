// SPDX-License-Identifier: Apache-2.0
#include "ops/sgmv.h"

#include <cmath>
#include <utility>

#include "common/errors.h"
#include "ops/linear.h"
#include "ops/sgmv_targets.h"
#include "torch/tensor.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

}  // namespace

CheckedSgmv::CheckedSgmv(const SgmvArguments& arguments) {
  const std::shared_ptr<Table> table = FindTable(arguments.name, arguments.table);
  tokens_ = CheckTargets(arguments, *table, kOnCpu, &problem_);
  snapshot_ = table->Read();
  CheckPlan(arguments, *table);
  problem_.segments = segments_.data();
  problem_.segment_count = static_cast<int64_t>(segments_.size());
  problem_.entries = entries_.data();
}

void CheckedSgmv::CheckPlan(const SgmvArguments& arguments, const Table& table) {
  const char* name = arguments.name;
  const SgmvPlan& plan = arguments.plan;
  const bool stacked = plan.entry_starts != nullptr;
  const TensorInfo starts = DescribeFlat(name, "segment_starts", plan.segment_starts, ElementType::kInt64);
  const TensorInfo slots = DescribeFlat(name, stacked ? "entry_slots" : "slots", plan.slots, ElementType::kInt64);
  const int64_t count = stacked ? starts.numel - 1 : slots.numel;
  if (starts.numel != count + 1 || count < 0) {
    Refuse("%s: segment_starts is %s and slots is %s, but it must be one longer than slots", name,
           starts.Text().c_str(), slots.Text().c_str());
  }
  const int64_t* start = starts.As<int64_t>();
  if (start[0] != 0 || start[count] != tokens_) {
    Refuse("%s: segment_starts runs from %lld to %lld, but it must run from 0 to the %lld rows of y", name,
           Long(start[0]), Long(start[count]), Long(tokens_));
  }
  const int64_t* entry_start = nullptr;
  const float* weights = nullptr;
  if (stacked) {
    const TensorInfo entry_starts = DescribeFlat(name, "entry_starts", plan.entry_starts, ElementType::kInt64);
    const TensorInfo entry_weights = DescribeFlat(name, "entry_weights", plan.entry_weights, ElementType::kFloat32);
    if (entry_starts.numel != starts.numel) {
      Refuse("%s: entry_starts is %s and segment_starts is %s, but they must have the same length", name,
             entry_starts.Text().c_str(), starts.Text().c_str());
    }
    if (entry_weights.numel != slots.numel) {
      Refuse("%s: entry_weights is %s and entry_slots is %s, but they must have the same length", name,
             entry_weights.Text().c_str(), slots.Text().c_str());
    }
    entry_start = entry_starts.As<int64_t>();
    weights = entry_weights.As<float>();
    if (entry_start[0] != 0 || entry_start[count] != slots.numel) {
      Refuse("%s: entry_starts runs from %lld to %lld, but it must run from 0 to the %lld entries", name,
             Long(entry_start[0]), Long(entry_start[count]), Long(slots.numel));
    }
  }
  PrefetchModules(arguments, slots.As<int64_t>(), slots.numel);
  segments_.reserve(static_cast<size_t>(count));
  entries_.reserve(static_cast<size_t>(slots.numel));
  for (int64_t s = 0; s < count; ++s) {
    if (start[s + 1] < start[s] || start[s + 1] > tokens_) {
      Refuse("%s: segment_starts goes from %lld to %lld at segment %lld, but it must not fall or pass the %lld rows",
             name, Long(start[s]), Long(start[s + 1]), Long(s), Long(tokens_));
    }
    const int64_t first = static_cast<int64_t>(entries_.size());
    if (!stacked) {
      if (slots.As<int64_t>()[s] != -1) {
        AddEntry(arguments, table, s, slots.As<int64_t>()[s], 1.0f, false);
      }
    } else {
      const int64_t from = entry_start[s];
      const int64_t to = entry_start[s + 1];
      if (to < from || to > slots.numel || to - from > kMaxStack) {
        Refuse(
            "%s: entry_starts goes from %lld to %lld at segment %lld, but it must not fall or pass the %lld "
            "entries, and a segment has at most %lld",
            name, Long(from), Long(to), Long(s), Long(slots.numel), Long(kMaxStack));
      }
      for (int64_t e = from; e < to; ++e) {
        AddEntry(arguments, table, s, slots.As<int64_t>()[e], weights[e], to - from > 1 || weights[e] != 1.0f);
      }
    }
    segments_.push_back({start[s], start[s + 1], first, static_cast<int64_t>(entries_.size()) - first});
  }
}

void CheckedSgmv::PrefetchModules(const SgmvArguments& arguments, const int64_t* slots, int64_t count) const {
  const Snapshot& snapshot = *snapshot_;
  const auto adapter = [&](int64_t i) -> const Adapter* {
    const int64_t slot = slots[i];
    return slot >= 0 && static_cast<size_t>(slot) < snapshot.size() ? snapshot[static_cast<size_t>(slot)].get()
                                                                    : nullptr;
  };
  for (int64_t i = 0; i < count; ++i) {
    if (adapter(i) != nullptr) {
      __builtin_prefetch(&adapter(i)->modules);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    if (adapter(i) != nullptr) {
      for (const SgmvTarget& target : arguments.targets) {
        const char* module = reinterpret_cast<const char*>(adapter(i)->modules.data() + target.module);
        __builtin_prefetch(module);
        __builtin_prefetch(module + sizeof(AdapterModule) - 1);
      }
    }
  }
}

void CheckedSgmv::AddEntry(const SgmvArguments& arguments, const Table& table, int64_t segment, int64_t slot,
                           float weight, bool stacked) {
  const char* name = arguments.name;
  if (slot < 0 || slot >= Table::kMaxSlots) {
    Refuse("%s: slots has %lld at segment %lld, but a slot is %sfrom 0 to %lld", name, Long(slot), Long(segment),
           arguments.plan.entry_starts == nullptr ? "-1 (base) or " : "", Long(Table::kMaxSlots - 1));
  }
  if (static_cast<size_t>(slot) >= snapshot_->size() || (*snapshot_)[slot] == nullptr) {
    Refuse("%s: slot %lld of table %lld (segment %lld) holds no adapter", name, Long(slot), Long(table.id()),
           Long(segment));
  }
  if (!std::isfinite(weight)) {
    Refuse("%s: entry_weights has %f for slot %lld at segment %lld, but each must be finite", name,
           static_cast<double>(weight), Long(slot), Long(segment));
  }
  SgmvEntry entry{};
  entry.weight = weight;
  for (size_t i = 0; i < arguments.targets.size(); ++i) {
    const int64_t number = arguments.targets[i].module;
    const AdapterModule& module = (*snapshot_)[slot]->modules[number];
    if (stacked && (module.out_scale != nullptr || module.bias != nullptr)) {
      // What DoRA, IA3 or a trained bias would mean with a weight, or beside another adapter, is not defined.
      Refuse(
          "%s: segment %lld stacks slot %lld, whose adapter has %s in module %lld; only adapters without may be "
          "weighted or stacked",
          name, Long(segment), Long(slot),
          module.out_scale != nullptr ? "an out_scale (DoRA or IA3)" : "a bias of its own", Long(number));
    }
    entry.modules[i] = &module;
  }
  entries_.push_back(entry);
}

namespace {

// The base products of a call and the adapters' part behind them, all checked.
struct CheckedLinearSgmv {
  LinearProducts products;
  CheckedSgmv sgmv;
};

CheckedLinearSgmv CheckLinearSgmv(SgmvArguments arguments, const std::vector<AtenTensorHandle>& weights) {
  if (weights.size() != arguments.targets.size()) {
    Refuse("%s: weights has %zu values and modules %zu, but they must have the same length", arguments.name,
           weights.size(), arguments.targets.size());
  }
  LinearProducts products = PrepareLinearGroup(arguments.name, arguments.x, weights);
  for (size_t i = 0; i < weights.size(); ++i) {
    arguments.targets[i].y = products.results[i].get();
  }
  return {std::move(products), CheckedSgmv(arguments)};
}

}  // namespace

std::vector<Tensor> LinearSgmv(const SgmvArguments& arguments, const std::vector<AtenTensorHandle>& weights,
                               int threads) {
  CheckedLinearSgmv checked = CheckLinearSgmv(arguments, weights);
  if (!checked.products.problems.empty()) {
    checked.sgmv.RunBehind(checked.products.problems, nullptr, threads);
  }
  return std::move(checked.products.results);
}

Tensor GatedLinearSgmv(const SgmvArguments& arguments, const std::vector<AtenTensorHandle>& weights, int threads) {
  CheckedLinearSgmv checked = CheckLinearSgmv(arguments, weights);
  const std::vector<Tensor>& results = checked.products.results;
  if (results.size() != 2) {
    Refuse("%s: the group has %zu modules, but with a gate it must have 2", arguments.name, results.size());
  }
  const TensorInfo gate = Describe(arguments.name, "gate", results[0].get());
  const TensorInfo up = Describe(arguments.name, "up", results[1].get());
  if (up.sizes[1] != gate.sizes[1]) {
    Refuse("%s: gate is %s and up is %s, but they must have the same shape", arguments.name, gate.Text().c_str(),
           up.Text().c_str());
  }
  Tensor result = Empty({gate.sizes[0], gate.sizes[1]}, gate.type);
  if (!checked.products.problems.empty()) {
    checked.sgmv.RunBehind(checked.products.problems, Describe(arguments.name, "result", result.get()).data, threads);
  }
  return result;
}

}  // namespace djl_lora
