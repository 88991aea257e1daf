// SPDX-License-Identifier: Apache-2.0
#include "cuda/layer_device.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "common/errors.h"
#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/launch.h"
#include "cuda/torch_stream.h"

namespace djl_lora {

namespace {

// By cuda::LayerKernel; the type's name goes behind both.
struct KernelName {
  const char* module;
  const char* kernel;
  bool float32;  // one kernel serves all types
};
constexpr std::array<KernelName, cuda::kLayerKernels> kKernelNames = {{
    {"layers_", "layers_decode_rms_norm_", false},
    {"layers_", "layers_decode_silu_mul_", false},
    {"layers_", "layers_decode_argmax_", true},
    {"layers_", "layers_decode_kv_write_", false},
    {"attention_", "attention_decode_64_", false},
    {"attention_", "attention_decode_80_", false},
    {"attention_", "attention_decode_96_", false},
    {"attention_", "attention_decode_128_", false},
    {"attention_", "attention_decode_256_", false},
    {"attention_", "attention_decode_combine_", false},
    {"attention_", "attention_decode_plain_", false},
}};

class OpenedDevice : public LayerDevice {
 public:
  explicit OpenedDevice(int32_t index) : driver_(RequireDriver()), index_(index) {
    driver_.device(index);      // refuses where there is none
    CurrentTorchStream(index);  // refuses where libtorch has no CUDA
    const ScopedContext context(driver_, index);
    for (size_t kernel = 0; kernel < kKernelNames.size(); ++kernel) {
      const KernelName& name = kKernelNames[kernel];
      for (const bool bf16 : {false, true}) {
        const char* type = name.float32 ? "f32" : bf16 ? "bf16" : "f16";
        kernels_[kernel][bf16 ? 1 : 0] =
            &ProcessKernels().Find(std::string(name.module) + type, std::string(name.kernel) + type);
      }
    }
  }

  TensorPlace place() const override { return {true, index_}; }

  void Launch(ElementType type, const cuda::LayerLaunch& launch) const override {
    const ScopedContext context(driver_, index_);
    const Kernel& kernel = *kernels_[static_cast<size_t>(launch.kernel)][type == ElementType::kBFloat16 ? 1 : 0];
    LaunchShape shape;
    shape.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
    shape.block = {launch.threads, 1, 1};
    shape.shared_bytes = launch.shared_bytes;
    shape.overlap = launch.overlaps;
    const CuStream stream = CurrentTorchStream(index_);
    std::visit([&](const auto& params) { djl_lora::Launch(driver_, kernel, shape, stream, params); }, launch.params);
  }

 private:
  const Driver& driver_;
  const int32_t index_;
  std::array<std::array<const Kernel*, 2>, kKernelNames.size()> kernels_{};  // by cuda::LayerKernel and type
};

}  // namespace

const LayerDevice& CudaLayerDevice(int32_t index) {
  constexpr size_t kMostDevices = 64;
  // Never deleted: a call may be running when the process ends.
  static std::array<std::atomic<const LayerDevice*>, kMostDevices> opened{};
  static std::mutex* const mutex = new std::mutex();
  if (index < 0 || static_cast<size_t>(index) >= kMostDevices) {
    Refuse("CUDA device %d: only 0 to %d are served", static_cast<int>(index), static_cast<int>(kMostDevices) - 1);
  }
  std::atomic<const LayerDevice*>& place = opened[static_cast<size_t>(index)];
  const LayerDevice* device = place.load(std::memory_order_acquire);
  if (device == nullptr) {
    const std::lock_guard<std::mutex> lock(*mutex);
    device = place.load(std::memory_order_relaxed);
    if (device == nullptr) {
      device = new OpenedDevice(index);
      place.store(device, std::memory_order_release);
    }
  }
  return *device;
}

}  // namespace djl_lora
