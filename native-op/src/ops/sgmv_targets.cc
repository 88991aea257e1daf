// SPDX-License-Identifier: Apache-2.0
#include "ops/sgmv_targets.h"

#include "common/errors.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

// The names of the arguments of one module: y and bias, or y0 and bias0 and so on in a group.
struct TargetNames {
  const char* y;
  const char* bias;
};

TargetNames NamesOf(size_t target, size_t targets) {
  static const TargetNames kGroup[] = {{"y0", "bias0"}, {"y1", "bias1"}, {"y2", "bias2"}, {"y3", "bias3"}};
  return targets == 1 ? TargetNames{"y", "bias"} : kGroup[target];
}

// x or y: [tokens, features] of the table's type, rows without gaps and not running backwards.
TensorInfo Rows(const char* operation, const char* name, AtenTensorHandle handle, const TensorPlace& place,
                const TableShape& table, int64_t module, int64_t features) {
  const TensorInfo info = Describe(operation, name, handle, place);
  RequireType(operation, info, table.type());
  RequireDim(operation, info, 2);
  if (info.sizes[1] != features) {
    Refuse("%s: %s is %s, but module %lld of table %lld takes [tokens, %lld]", operation, name, info.Text().c_str(),
           Long(module), Long(table.id()), Long(features));
  }
  RequireDenseLast(operation, info);
  return info;
}

// Whether two tensors are different columns of rows that are the same distance apart: then their rows interleave, but
// no element is in both.
bool ColumnsApart(const TensorInfo& a, const TensorInfo& b) {
  const int64_t stride = a.strides[0] * ElementSize(a.type);
  if (a.numel == 0 || b.numel == 0 || b.strides[0] != a.strides[0] || stride <= 0) {
    return false;
  }
  const intptr_t distance = reinterpret_cast<intptr_t>(b.data) - reinterpret_cast<intptr_t>(a.data);
  const intptr_t column = (distance % stride + stride) % stride;
  return column >= a.sizes[1] * ElementSize(a.type) && column + b.sizes[1] * ElementSize(b.type) <= stride;
}

}  // namespace

int64_t CheckTargets(const SgmvArguments& arguments, const TableShape& table, const TensorPlace& place,
                     SgmvProblem* problem) {
  int64_t tokens = 0;
  const char* name = arguments.name;
  const int64_t modules = static_cast<int64_t>(table.modules().size());
  const size_t count = arguments.targets.size();
  if (count < 1 || count > static_cast<size_t>(kMaxGroup)) {
    Refuse("%s: the group has %zu modules, but it must have 1 to %lld", name, count, Long(kMaxGroup));
  }
  for (const SgmvTarget& target : arguments.targets) {
    if (target.module < 0 || target.module >= modules) {
      Refuse("%s: module is %lld, but table %lld has modules 0 to %lld", name, Long(target.module), Long(table.id()),
             Long(modules - 1));
    }
  }
  problem->type = table.type();
  problem->in = table.modules()[arguments.targets[0].module].in;
  problem->output_count = static_cast<int64_t>(count);
  std::vector<TensorInfo> written;
  for (size_t i = 0; i < count; ++i) {
    const SgmvTarget& target = arguments.targets[i];
    const ModuleShape& shape = table.modules()[target.module];
    if (shape.in != problem->in) {
      Refuse("%s: module %lld takes %lld inputs and module %lld takes %lld, but a group shares x", name,
             Long(arguments.targets[0].module), Long(problem->in), Long(target.module), Long(shape.in));
    }
    const TensorInfo y = Rows(name, NamesOf(i, count).y, target.y, place, table, target.module, shape.out);
    if (i == 0) {
      tokens = y.sizes[0];
    } else if (y.sizes[0] != tokens) {
      Refuse("%s: %s is %s and %s is %s, but they must have the same number of rows", name, y.name, y.Text().c_str(),
             written[0].name, written[0].Text().c_str());
    }
    if (tokens > 1 && y.strides[0] < shape.out) {
      Refuse("%s: %s is %s with strides %s, but its rows must not overlap", name, y.name, y.Text().c_str(),
             ShapeText(y.strides, y.dim).c_str());
    }
    problem->outputs[i] = {shape.out, y.data, y.strides[0], nullptr};
    written.push_back(y);
  }
  const TensorInfo x = Rows(name, "x", arguments.x, place, table, arguments.targets[0].module, problem->in);
  if (x.sizes[0] != tokens) {
    Refuse("%s: x is %s and %s is %s, but they must have the same number of rows", name, x.Text().c_str(),
           written[0].name, written[0].Text().c_str());
  }
  problem->x = x.data;
  problem->x_stride = x.strides[0];
  for (size_t i = 0; i < count; ++i) {
    RequireSeparate(name, written[i], x);
    for (size_t other = 0; other < i; ++other) {
      if (!ColumnsApart(written[i], written[other])) {
        RequireSeparate(name, written[i], written[other]);
      }
    }
    const SgmvTarget& target = arguments.targets[i];
    if (target.bias == nullptr) {
      continue;
    }
    const TensorInfo bias = DescribeFlat(name, NamesOf(i, count).bias, target.bias, table.type(), place);
    if (bias.numel != problem->outputs[i].out) {
      Refuse("%s: %s is %s, but module %lld of table %lld takes [%lld]", name, bias.name, bias.Text().c_str(),
             Long(target.module), Long(table.id()), Long(problem->outputs[i].out));
    }
    for (const TensorInfo& y : written) {
      RequireSeparate(name, y, bias);
    }
    problem->outputs[i].bias = bias.data;
  }
  return tokens;
}

}  // namespace djl_lora
