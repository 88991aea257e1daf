// SPDX-License-Identifier: Apache-2.0
#include "ops/sgmv.h"

#include "common/errors.h"
#include "torch/tensor.h"

namespace djl_lora {

namespace {

constexpr const char* kName = "sgmv";

long long Long(int64_t value) { return static_cast<long long>(value); }

// x or y: [tokens, features] of the table's type, rows without gaps and not running backwards.
TensorInfo Rows(const char* name, AtenTensorHandle handle, const Table& table, int64_t module, int64_t features) {
  const TensorInfo info = Describe(kName, name, handle);
  RequireType(kName, info, table.type());
  RequireDim(kName, info, 2);
  if (info.sizes[1] != features) {
    Refuse("%s: %s is %s, but module %lld of table %lld takes [tokens, %lld]", kName, name, info.Text().c_str(),
           Long(module), Long(table.id()), Long(features));
  }
  RequireDenseLast(kName, info);
  return info;
}

TensorInfo Plan(const char* name, AtenTensorHandle handle) {
  const TensorInfo info = Describe(kName, name, handle);
  RequireType(kName, info, ElementType::kInt64);
  RequireDim(kName, info, 1);
  RequireContiguous(kName, info);
  return info;
}

}  // namespace

CheckedSgmv::CheckedSgmv(const SgmvArguments& arguments) {
  const std::shared_ptr<Table> table = FindTable(kName, arguments.table);
  const int64_t modules = static_cast<int64_t>(table->modules().size());
  if (arguments.module < 0 || arguments.module >= modules) {
    Refuse("%s: module is %lld, but table %lld has modules 0 to %lld", kName, Long(arguments.module), Long(table->id()),
           Long(modules - 1));
  }
  const ModuleShape& shape = table->modules()[arguments.module];
  const TensorInfo y = Rows("y", arguments.y, *table, arguments.module, shape.out);
  const TensorInfo x = Rows("x", arguments.x, *table, arguments.module, shape.in);
  const int64_t tokens = y.sizes[0];
  if (x.sizes[0] != tokens) {
    Refuse("%s: x is %s and y is %s, but they must have the same number of rows", kName, x.Text().c_str(),
           y.Text().c_str());
  }
  if (tokens > 1 && y.strides[0] < shape.out) {
    Refuse("%s: y is %s with strides %s, but its rows must not overlap", kName, y.Text().c_str(),
           ShapeText(y.strides, y.dim).c_str());
  }
  RequireSeparate(kName, y, x);
  problem_ =
      SgmvProblem{table->type(), shape.in, shape.out, x.data, x.strides[0], y.data, y.strides[0], nullptr, nullptr, 0};
  if (arguments.bias != nullptr) {
    const TensorInfo bias = Describe(kName, "bias", arguments.bias);
    RequireType(kName, bias, table->type());
    RequireDim(kName, bias, 1);
    RequireContiguous(kName, bias);
    if (bias.numel != shape.out) {
      Refuse("%s: bias is %s, but module %lld of table %lld takes [%lld]", kName, bias.Text().c_str(),
             Long(arguments.module), Long(table->id()), Long(shape.out));
    }
    RequireSeparate(kName, y, bias);
    problem_.bias = bias.data;
  }

  const TensorInfo starts = Plan("segment_starts", arguments.segment_starts);
  const TensorInfo slots = Plan("slots", arguments.slots);
  const int64_t count = slots.numel;
  if (starts.numel != count + 1) {
    Refuse("%s: segment_starts is %s and slots is %s, but it must be one longer than slots", kName,
           starts.Text().c_str(), slots.Text().c_str());
  }
  const int64_t* start = starts.As<int64_t>();
  if (start[0] != 0 || start[count] != tokens) {
    Refuse("%s: segment_starts runs from %lld to %lld, but it must run from 0 to the %lld rows of y %s", kName,
           Long(start[0]), Long(start[count]), Long(tokens), y.Text().c_str());
  }
  snapshot_ = table->Read();
  segments_.reserve(static_cast<size_t>(count));
  for (int64_t s = 0; s < count; ++s) {
    if (start[s + 1] < start[s] || start[s + 1] > tokens) {
      Refuse("%s: segment_starts goes from %lld to %lld at segment %lld, but it must not fall or pass the %lld rows",
             kName, Long(start[s]), Long(start[s + 1]), Long(s), Long(tokens));
    }
    const int64_t slot = slots.As<int64_t>()[s];
    const AdapterModule* module = nullptr;
    if (slot != -1) {
      if (slot < 0 || slot >= Table::kMaxSlots) {
        Refuse("%s: slots has %lld at segment %lld, but a slot is -1 (base) or from 0 to %lld", kName, Long(slot),
               Long(s), Long(Table::kMaxSlots - 1));
      }
      if (static_cast<size_t>(slot) >= snapshot_->size() || (*snapshot_)[slot] == nullptr) {
        Refuse("%s: slot %lld of table %lld (segment %lld) holds no adapter", kName, Long(slot), Long(table->id()),
               Long(s));
      }
      module = &(*snapshot_)[slot]->modules[arguments.module];
    }
    segments_.push_back(SgmvSegment{start[s], start[s + 1], module});
  }
  problem_.segments = segments_.data();
  problem_.segment_count = count;
}

}  // namespace djl_lora
