// SPDX-License-Identifier: Apache-2.0
#include "ops/linear.h"

#include <utility>
#include <vector>

#include "common/errors.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

struct Described {
  TensorInfo x;
  TensorInfo weight;
  TensorInfo scale;
  TensorInfo bias;
};

TensorInfo PerOutput(const char* operation, const char* name, AtenTensorHandle handle, ElementType type,
                     const TensorInfo& weight) {
  const TensorInfo info = Describe(operation, name, handle);
  RequireType(operation, info, type);
  RequireContiguous(operation, info);
  if (info.dim != 1 || info.numel != weight.sizes[0]) {
    Refuse("%s: %s is %s, but weight %s takes [%lld]", operation, name, info.Text().c_str(), weight.Text().c_str(),
           Long(weight.sizes[0]));
  }
  return info;
}

Described DescribeAll(const char* operation, const LinearArguments& arguments) {
  Described all;
  all.x = Describe(operation, "x", arguments.x);
  all.weight = Describe(operation, "weight", arguments.weight);
  RequireKernelType(operation, all.x);
  RequireType(operation, all.weight, arguments.scale == nullptr ? all.x.type : ElementType::kInt8);
  RequireDim(operation, all.weight, 2);
  if (all.x.dim < 1 || all.x.sizes[all.x.dim - 1] != all.weight.sizes[1]) {
    Refuse("%s: x is %s and weight is %s, but the last dimensions must be the same", operation, all.x.Text().c_str(),
           all.weight.Text().c_str());
  }
  RequireContiguous(operation, all.x);
  RequireDenseLast(operation, all.weight);
  if (arguments.scale != nullptr) {
    all.scale = PerOutput(operation, "scale", arguments.scale, ElementType::kFloat32, all.weight);
  }
  if (arguments.bias != nullptr) {
    all.bias = PerOutput(operation, "bias", arguments.bias, all.x.type, all.weight);
  }
  return all;
}

}  // namespace

void CheckLinear(const char* operation, const LinearArguments& arguments) { DescribeAll(operation, arguments); }

Tensor LinearRows(const char* operation, const LinearArguments& arguments, int threads) {
  const Described all = DescribeAll(operation, arguments);
  const int64_t in = all.weight.sizes[1];
  const int64_t out = all.weight.sizes[0];
  std::vector<int64_t> sizes(all.x.sizes, all.x.sizes + all.x.dim);
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    rows *= sizes[i];
  }
  sizes.back() = out;
  Tensor result = Empty(sizes, all.x.type);
  if (rows > 0 && out > 0) {
    LinearCpu(
        {{all.x.type, rows, in, out, all.x.data, in, all.weight.data, all.weight.strides[0], arguments.scale != nullptr,
          all.scale.As<float>(), all.bias.data, Describe(operation, "result", result.get()).data, out}},
        threads);
  }
  return result;
}

LinearProducts PrepareLinearGroup(const char* operation, AtenTensorHandle x,
                                  const std::vector<AtenTensorHandle>& weights) {
  LinearProducts products;
  products.results.reserve(weights.size());
  products.problems.reserve(weights.size());
  for (const AtenTensorHandle weight : weights) {
    const Described all = DescribeAll(operation, {x, weight});
    RequireDim(operation, all.x, 2);
    const int64_t rows = all.x.sizes[0];
    const int64_t in = all.weight.sizes[1];
    const int64_t out = all.weight.sizes[0];
    products.results.push_back(Empty({rows, out}, all.x.type));
    if (rows > 0 && out > 0) {
      products.problems.push_back({all.x.type, rows, in, out, all.x.data, in, all.weight.data, all.weight.strides[0],
                                   false, nullptr, nullptr,
                                   Describe(operation, "result", products.results.back().get()).data, out});
    }
  }
  return products;
}

std::vector<Tensor> LinearGroup(const char* operation, AtenTensorHandle x, const std::vector<AtenTensorHandle>& weights,
                                int threads) {
  LinearProducts products = PrepareLinearGroup(operation, x, weights);
  if (!products.problems.empty()) {
    LinearCpu(products.problems, threads);
  }
  return std::move(products.results);
}

bool FewRows(const TensorInfo& x, const TensorInfo& weight) {
  const int64_t in = weight.sizes[1];
  return in > 0 && x.numel > 0 && x.numel / in <= LinearCrossover(x.type, in) && x.Contiguous() &&
         (in == 1 || weight.strides[1] == 1) && weight.strides[0] >= 0;
}

}  // namespace djl_lora
