// SPDX-License-Identifier: Apache-2.0
#include "ops/kernel_times.h"

#include <algorithm>

#include "common/errors.h"
#include "cuda/device_layout.h"

namespace djl_lora {

namespace {

using cuda::DeviceError;
using cuda::DeviceModule;
using cuda::SgmvParams;
using cuda::SgmvPath;

constexpr int64_t kElement = sizeof(uint16_t);
constexpr int64_t kMostBytes = int64_t{1} << 29;
constexpr int64_t kLeastCalls = 8;  // between two events, which are exact to half a microsecond
constexpr int kWarmUps = 2;
constexpr int kSamples = 9;

// Memory on the device that was copied there.
class Copied {
 public:
  Copied(const SgmvDevice& device, const void* bytes, int64_t count)
      : memory_(Empty({count}, ElementType::kUInt8, device.place())) {
    // libtorch only reads what it copies from
    const Tensor source = Wrap(const_cast<void*>(bytes), {count}, ElementType::kUInt8);
    CheckTorch(aoti_torch_copy_(memory_.get(), source.get(), 0), "aten::copy_");
    info_ = Describe("time_image", "scratch", memory_.get(), device.place());
  }

  template <typename T>
  Copied(const SgmvDevice& device, const std::vector<T>& values)
      : Copied(device, values.data(), static_cast<int64_t>(values.size() * sizeof(T))) {}

  void* data() const { return info_.data; }
  template <typename T>
  T* As() const {
    return info_.As<T>();
  }
  AtenTensorHandle handle() const { return memory_.get(); }

 private:
  Tensor memory_;
  TensorInfo info_;
};

// Everything that calls need, on the device.
class Scratch {
 public:
  Scratch(const SgmvDevice& device, const TimedCall& call);

  int64_t sets() const { return sets_; }
  // A call over one of the sets of adapters.
  SgmvParams Params(int64_t set) const {
    SgmvParams params = params_;
    params.slots += set * params.segments;
    return params;
  }
  // Throws EngineError where the kernels refused something.
  void Check() const;

 private:
  static cuda::ModuleWeights WeightsOf(const TimedCall& call, int64_t out, const std::vector<uint16_t>& values) {
    return {call.in, out, call.rank, values.data(), values.data(), nullptr, nullptr, 1.0f};
  }

  int64_t sets_ = 1;
  Tensor weights_;
  std::vector<Copied> memory_;
  SgmvParams params_{};
};

Scratch::Scratch(const SgmvDevice& device, const TimedCall& call) {
  const int64_t widest = *std::max_element(call.outs.begin(), call.outs.end());
  // small numbers in either type, none of them denormal
  const std::vector<uint16_t> values(static_cast<size_t>(call.rank * std::max(call.in, widest)), 0x2c00);
  int64_t adapter_bytes = 0;
  for (const int64_t out : call.outs) {
    adapter_bytes += cuda::DeviceModuleBytes(WeightsOf(call, out, values));
  }
  const int64_t set_bytes = std::max(adapter_bytes * call.segments, int64_t{1});
  sets_ = 2 * device.l2_bytes() / set_bytes + 1;
  const int64_t all_bytes = sets_ * set_bytes;
  if (all_bytes > kMostBytes) {
    Refuse("time_image: %lld segments of rank %lld take %lld bytes of adapters, but at most %lld are timed",
           static_cast<long long>(call.segments), static_cast<long long>(call.rank), static_cast<long long>(all_bytes),
           static_cast<long long>(kMostBytes));
  }
  const int64_t adapters = sets_ * call.segments;
  const int64_t modules = static_cast<int64_t>(call.outs.size());
  std::vector<char> packed(static_cast<size_t>(adapters * adapter_bytes + cuda::kPartAlignment));
  memory_.reserve(6 + call.outs.size());
  const auto keep = [&](auto&& source) -> const Copied& { return memory_.emplace_back(device, source); };
  weights_ = Empty({static_cast<int64_t>(packed.size())}, ElementType::kUInt8, device.place());
  const uint64_t place =
      reinterpret_cast<uint64_t>(Describe("time_image", "weights", weights_.get(), device.place()).data);
  const uint64_t begin = (place + cuda::kPartAlignment - 1) & -uint64_t{cuda::kPartAlignment};
  std::vector<DeviceModule> entries;
  entries.reserve(static_cast<size_t>(adapters * modules));
  uint64_t used = 0;
  for (int64_t adapter = 0; adapter < adapters; ++adapter) {
    for (const int64_t out : call.outs) {
      const cuda::ModuleWeights module = WeightsOf(call, out, values);
      entries.push_back(cuda::PackDeviceModule(module, packed.data() + (begin - place) + used, begin + used));
      used += static_cast<uint64_t>(cuda::DeviceModuleBytes(module));
    }
  }
  const Tensor source = Wrap(packed.data(), {static_cast<int64_t>(packed.size())}, ElementType::kUInt8);
  CheckTorch(aoti_torch_copy_(weights_.get(), source.get(), 0), "aten::copy_");

  std::vector<long long> starts;
  for (int64_t segment = 0; segment <= call.segments; ++segment) {
    starts.push_back(segment);
  }
  std::vector<long long> slots;
  for (int64_t adapter = 0; adapter < adapters; ++adapter) {
    slots.push_back(adapter);
  }
  const std::vector<uint16_t> zeros(static_cast<size_t>(call.segments * std::max(call.in, widest)));
  params_.x = keep(std::vector<uint16_t>(static_cast<size_t>(call.segments * call.in), 0x2c00)).data();
  params_.x_stride = call.in;
  params_.in = static_cast<int>(call.in);
  params_.tokens = static_cast<int>(call.segments);
  params_.segments = static_cast<int>(call.segments);
  params_.outputs = static_cast<int>(modules);
  for (int i = 0; i < params_.outputs; ++i) {
    const int64_t out = call.outs[static_cast<size_t>(i)];
    params_.output[i] = {memory_.emplace_back(device, zeros.data(), call.segments * out * kElement).data(), out,
                         nullptr, static_cast<int>(out), i};
  }
  params_.segment_starts = keep(starts).As<long long>();
  params_.slots = keep(slots).As<long long>();
  params_.entries = params_.segments;
  params_.table = keep(entries).As<DeviceModule>();
  params_.table_slots = static_cast<int>(adapters);
  params_.table_modules = params_.outputs;
  params_.max_rank = static_cast<int>(call.max_rank);
  params_.splits = cuda::Splits(SgmvPath::kDecode, params_.in);
  params_.partial =
      keep(std::vector<float>(static_cast<size_t>(cuda::PartialSize(SgmvPath::kDecode, params_)))).As<float>();
  params_.error = keep(std::vector<DeviceError>(1)).As<DeviceError>();
}

void Scratch::Check() const {
  DeviceError error{};
  const Tensor host = Wrap(&error, {static_cast<int64_t>(sizeof(error))}, ElementType::kUInt8);
  CheckTorch(aoti_torch_copy_(host.get(), memory_.back().handle(), 0), "aten::copy_");
  if (error.code != cuda::kNoError) {
    throw EngineError(
        Format("time_image: the kernels report error %d, %d for segment %d", error.code, error.value, error.segment));
  }
}

double Sample(const SgmvDevice& device, const SgmvKernels& kernels, const Scratch& scratch) {
  const int64_t calls = (kLeastCalls + scratch.sets() - 1) / scratch.sets() * scratch.sets();
  const SgmvPath path = cuda::ChoosePath(scratch.Params(0), kernels.clusters());
  const std::vector<cuda::KernelLaunch> launches = cuda::Launches(path, scratch.Params(0));
  const double all = device.Time([&] {
    for (int64_t i = 0; i < calls; ++i) {
      const SgmvParams params = scratch.Params(i % scratch.sets());
      for (const cuda::KernelLaunch& launch : launches) {
        kernels.Launch(launch, params);
      }
    }
  });
  return all / static_cast<double>(calls);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + kSamples / 2, values.end());
  return values[kSamples / 2];
}

}  // namespace

std::pair<double, double> TimeKernels(const SgmvDevice& device, const TimedCall& call, const SgmvKernels& one,
                                      const SgmvKernels& other) {
  const Scratch scratch(device, call);
  std::vector<double> first;
  std::vector<double> second;
  // in turn, so that a change of the device's clock concerns both
  for (int i = 0; i < kWarmUps + kSamples; ++i) {
    const double of_one = Sample(device, one, scratch);
    const double of_other = Sample(device, other, scratch);
    if (i >= kWarmUps) {
      first.push_back(of_one);
      second.push_back(of_other);
    }
  }
  scratch.Check();
  return {Median(std::move(first)), Median(std::move(second))};
}

}  // namespace djl_lora
