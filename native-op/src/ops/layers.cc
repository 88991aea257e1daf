// SPDX-License-Identifier: Apache-2.0
#include "ops/layers.h"

#include <climits>
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

struct NormArguments {
  TensorInfo x;
  TensorInfo delta;  // data is null without one
  TensorInfo weight;
  int64_t size;
};

NormArguments CheckNorm(AtenTensorHandle x_handle, AtenTensorHandle delta_handle, AtenTensorHandle weight_handle,
                        double epsilon, const TensorPlace& place) {
  constexpr const char* kName = "rmsNorm";
  NormArguments all{Describe(kName, "x", x_handle, place), {}, Describe(kName, "weight", weight_handle, place), 0};
  const TensorInfo& x = all.x;
  const TensorInfo& weight = all.weight;
  RequireKernelType(kName, x);
  RequireType(kName, weight, x.type);
  if (x.dim < 2) {
    Refuse("%s: x is %s, but it must have 2 dimensions or more", kName, x.Text().c_str());
  }
  all.size = x.sizes[x.dim - 1];
  if (weight.dim != 1 || weight.numel != all.size) {
    Refuse("%s: weight is %s, but x %s takes [%lld]", kName, weight.Text().c_str(), x.Text().c_str(), Long(all.size));
  }
  RequireContiguous(kName, x);
  RequireContiguous(kName, weight);
  if (delta_handle != nullptr) {
    all.delta = Describe(kName, "delta", delta_handle, place);
    RequireType(kName, all.delta, x.type);
    RequireSameShape(kName, all.delta, x);
    RequireContiguous(kName, all.delta);
    RequireSeparate(kName, x, all.delta);
    RequireSeparate(kName, x, weight);
  }
  if (!(epsilon >= 0.0) || !std::isfinite(epsilon)) {
    Refuse("%s: eps is %g, but it must be finite and not negative", kName, epsilon);
  }
  return all;
}

struct SiluMulArguments {
  TensorInfo gate;
  TensorInfo up;
};

SiluMulArguments CheckSiluMul(AtenTensorHandle gate_handle, AtenTensorHandle up_handle, const TensorPlace& place) {
  constexpr const char* kName = "siluMul";
  const SiluMulArguments all{Describe(kName, "gate", gate_handle, place), Describe(kName, "up", up_handle, place)};
  RequireKernelType(kName, all.gate);
  RequireType(kName, all.up, all.gate.type);
  RequireSameShape(kName, all.up, all.gate);
  RequireContiguous(kName, all.gate);
  RequireContiguous(kName, all.up);
  return all;
}

TensorInfo CheckArgmax(AtenTensorHandle x_handle, int64_t count, const TensorPlace& place) {
  constexpr const char* kName = "argmaxRows";
  const TensorInfo x = Describe(kName, "x", x_handle, place);
  RequireType(kName, x, ElementType::kFloat32);
  RequireDim(kName, x, 2);
  RequireContiguous(kName, x);
  if (x.sizes[0] != count || x.sizes[1] < 1) {
    Refuse("%s: x is %s, but it must have %lld rows, none empty", kName, x.Text().c_str(), Long(count));
  }
  return x;
}

Tensor EmptyLike(const TensorInfo& tensor, const TensorPlace& place = kOnCpu) {
  return Empty({tensor.sizes, tensor.sizes + tensor.dim}, tensor.type, place);
}

// Kernels count in int.
int RequireInt(const char* operation, const TensorInfo& tensor, int64_t value) {
  if (value > INT_MAX) {
    Refuse("%s: %s is %s, which is too large for a kernel on a device", operation, tensor.name, tensor.Text().c_str());
  }
  return static_cast<int>(value);
}

}  // namespace

Tensor RmsNorm(AtenTensorHandle x, AtenTensorHandle delta, AtenTensorHandle weight, double epsilon, int threads) {
  const TensorPlace place = PlaceOf(x);
  if (place.cuda) {
    return RmsNormOn(CudaLayerDevice(place.device), x, delta, weight, epsilon);
  }
  const NormArguments all = CheckNorm(x, delta, weight, epsilon, kOnCpu);
  Tensor result = EmptyLike(all.x);
  if (all.x.numel > 0) {
    RmsNormCpu({all.x.type, all.x.numel / all.size, all.size, all.x.data, all.delta.data, all.weight.data, epsilon,
                Describe("rmsNorm", "result", result.get()).data},
               threads);
  }
  return result;
}

Tensor RmsNormOn(const LayerDevice& device, AtenTensorHandle x, AtenTensorHandle delta, AtenTensorHandle weight,
                 double epsilon) {
  constexpr const char* kName = "rmsNorm";
  const TensorPlace place = device.place();
  const NormArguments all = CheckNorm(x, delta, weight, epsilon, place);
  RequireDeviceType(kName, all.x);
  Tensor result = EmptyLike(all.x, place);
  if (all.x.numel > 0) {
    cuda::NormParams params{};
    params.x = all.x.data;
    params.delta = all.delta.data;
    params.weight = all.weight.data;
    params.result = Describe(kName, "result", result.get(), place).data;
    params.size = RequireInt(kName, all.x, all.size);
    params.rows = RequireInt(kName, all.x, all.x.numel / all.size);
    params.epsilon = static_cast<float>(epsilon);
    device.Launch(all.x.type, cuda::LaunchOf(params));
  }
  return result;
}

Tensor SiluMul(AtenTensorHandle gate, AtenTensorHandle up, int threads) {
  const TensorPlace place = PlaceOf(gate);
  if (place.cuda) {
    return SiluMulOn(CudaLayerDevice(place.device), gate, up);
  }
  const SiluMulArguments all = CheckSiluMul(gate, up, kOnCpu);
  Tensor result = EmptyLike(all.gate);
  if (all.gate.numel > 0) {
    SiluMulCpu(
        {all.gate.type, all.gate.numel, all.gate.data, all.up.data, Describe("siluMul", "result", result.get()).data},
        threads);
  }
  return result;
}

Tensor SiluMulOn(const LayerDevice& device, AtenTensorHandle gate, AtenTensorHandle up) {
  constexpr const char* kName = "siluMul";
  const TensorPlace place = device.place();
  const SiluMulArguments all = CheckSiluMul(gate, up, place);
  RequireDeviceType(kName, all.gate);
  Tensor result = EmptyLike(all.gate, place);
  if (all.gate.numel > 0) {
    RequireInt(kName, all.gate, all.gate.numel / cuda::kVector);
    device.Launch(all.gate.type, cuda::LaunchOf(cuda::SiluMulParams{all.gate.data, all.up.data,
                                                                    Describe(kName, "result", result.get(), place).data,
                                                                    all.gate.numel}));
  }
  return result;
}

void ArgmaxRows(AtenTensorHandle x, int64_t* indices, int64_t count, int threads) {
  const TensorPlace place = PlaceOf(x);
  if (place.cuda) {
    ArgmaxRowsOn(CudaLayerDevice(place.device), x, indices, count);
    return;
  }
  const TensorInfo rows = CheckArgmax(x, count, kOnCpu);
  ArgmaxCpu(rows.As<float>(), rows.sizes[0], rows.sizes[1], indices, threads);
}

void ArgmaxRowsOn(const LayerDevice& device, AtenTensorHandle x, int64_t* indices, int64_t count) {
  constexpr const char* kName = "argmaxRows";
  const TensorPlace place = device.place();
  const TensorInfo rows = CheckArgmax(x, count, place);
  if (count == 0) {
    return;
  }
  cuda::ArgmaxParams params{};
  params.x = rows.As<float>();
  params.rows = count;
  params.columns = RequireInt(kName, rows, rows.sizes[1]);
  params.parts = cuda::ArgmaxParts(params.columns);
  std::vector<cuda::Greatest> parts(static_cast<size_t>(count) * static_cast<size_t>(params.parts));
  const int64_t bytes = static_cast<int64_t>(parts.size() * sizeof(cuda::Greatest));
  const Tensor found = Empty({bytes}, ElementType::kUInt8, place);
  params.result = Describe(kName, "result", found.get(), place).As<cuda::Greatest>();
  device.Launch(rows.type, cuda::LaunchOf(params));
  const Tensor host = Wrap(parts.data(), {bytes}, ElementType::kUInt8);
  CheckTorch(aoti_torch_copy_(host.get(), found.get(), 0), "aten::copy_");  // waits
  for (int64_t row = 0; row < count; ++row) {
    const cuda::Greatest* part = parts.data() + row * params.parts;
    cuda::Greatest best = part[0];
    for (int i = 1; i < params.parts && best.index != cuda::kNoFiniteGreatest; ++i) {
      // later parts have higher indices, so only a greater one is better
      if (part[i].index == cuda::kNoFiniteGreatest || best.index == cuda::kNoGreatest ||
          (part[i].index != cuda::kNoGreatest && part[i].value > best.value)) {
        best = part[i];
      }
    }
    indices[row] = best.index;
  }
}

}  // namespace djl_lora
