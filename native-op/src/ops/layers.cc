// SPDX-License-Identifier: Apache-2.0
#include "ops/layers.h"

#include <cmath>
#include <vector>

#include "common/errors.h"
#include "cpu/argmax_cpu.h"
#include "cpu/layers_cpu.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

void RequireSameShape(const char* operation, const TensorInfo& tensor, const TensorInfo& other) {
  bool same = tensor.dim == other.dim;
  for (int64_t i = 0; same && i < tensor.dim; ++i) {
    same = tensor.sizes[i] == other.sizes[i];
  }
  if (!same) {
    Refuse("%s: %s is %s and %s is %s, but they must have the same shape", operation, tensor.name,
           tensor.Text().c_str(), other.name, other.Text().c_str());
  }
}

}  // namespace

Tensor RmsNorm(AtenTensorHandle x_handle, AtenTensorHandle delta_handle, AtenTensorHandle weight_handle, double epsilon,
               int threads) {
  constexpr const char* kName = "rmsNorm";
  const TensorInfo x = Describe(kName, "x", x_handle);
  const TensorInfo weight = Describe(kName, "weight", weight_handle);
  RequireKernelType(kName, x);
  RequireType(kName, weight, x.type);
  if (x.dim < 2) {
    Refuse("%s: x is %s, but it must have 2 dimensions or more", kName, x.Text().c_str());
  }
  const int64_t size = x.sizes[x.dim - 1];
  if (weight.dim != 1 || weight.numel != size) {
    Refuse("%s: weight is %s, but x %s takes [%lld]", kName, weight.Text().c_str(), x.Text().c_str(), Long(size));
  }
  RequireContiguous(kName, x);
  RequireContiguous(kName, weight);
  TensorInfo delta;
  if (delta_handle != nullptr) {
    delta = Describe(kName, "delta", delta_handle);
    RequireType(kName, delta, x.type);
    RequireSameShape(kName, delta, x);
    RequireContiguous(kName, delta);
    RequireSeparate(kName, x, delta);
    RequireSeparate(kName, x, weight);
  }
  if (!(epsilon >= 0.0) || !std::isfinite(epsilon)) {
    Refuse("%s: eps is %g, but it must be finite and not negative", kName, epsilon);
  }
  Tensor result = Empty({x.sizes, x.sizes + x.dim}, x.type);
  if (x.numel > 0) {
    RmsNormCpu({x.type, x.numel / size, size, x.data, delta.data, weight.data, epsilon,
                Describe(kName, "result", result.get()).data},
               threads);
  }
  return result;
}

Tensor SiluMul(AtenTensorHandle gate_handle, AtenTensorHandle up_handle, int threads) {
  constexpr const char* kName = "siluMul";
  const TensorInfo gate = Describe(kName, "gate", gate_handle);
  const TensorInfo up = Describe(kName, "up", up_handle);
  RequireKernelType(kName, gate);
  RequireType(kName, up, gate.type);
  RequireSameShape(kName, up, gate);
  RequireContiguous(kName, gate);
  RequireContiguous(kName, up);
  Tensor result = Empty({gate.sizes, gate.sizes + gate.dim}, gate.type);
  if (gate.numel > 0) {
    SiluMulCpu({gate.type, gate.numel, gate.data, up.data, Describe(kName, "result", result.get()).data}, threads);
  }
  return result;
}

void ArgmaxRows(AtenTensorHandle x_handle, int64_t* indices, int64_t count, int threads) {
  constexpr const char* kName = "argmaxRows";
  const TensorInfo x = Describe(kName, "x", x_handle);
  RequireType(kName, x, ElementType::kFloat32);
  RequireDim(kName, x, 2);
  RequireContiguous(kName, x);
  if (x.sizes[0] != count || x.sizes[1] < 1) {
    Refuse("%s: x is %s, but it must have %lld rows, none empty", kName, x.Text().c_str(), Long(count));
  }
  ArgmaxCpu(x.As<float>(), x.sizes[0], x.sizes[1], indices, threads);
}

}  // namespace djl_lora
