// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_device.h"

#include <array>
#include <string>

#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/launch.h"
#include "cuda/torch_stream.h"

namespace djl_lora {

namespace {

constexpr std::array<const char*, 5> kKernelNames = {"decode_shrink", "decode_expand", "decode_fused", "tile_shrink",
                                                     "tile_expand"};

class CudaDevice : public SgmvDevice {
 public:
  explicit CudaDevice(int32_t index) : driver_(RequireDriver()), info_(driver_.device(index)), index_(index) {
    CurrentTorchStream(index);  // refuses where libtorch has no CUDA
    const ScopedContext context(driver_, index);
    for (size_t kernel = 0; kernel < kKernelNames.size(); ++kernel) {
      for (const bool bf16 : {false, true}) {
        const std::string suffix = bf16 ? "bf16" : "f16";
        kernels_[kernel][bf16 ? 1 : 0] =
            &ProcessKernels().Find("sgmv_" + suffix, std::string("sgmv_") + kKernelNames[kernel] + "_" + suffix);
      }
    }
  }

  TensorPlace place() const override { return {true, index_}; }
  bool clusters() const override { return info_.major >= 9; }

  void Launch(ElementType type, const cuda::KernelLaunch& launch, const cuda::SgmvParams& params) const override {
    const ScopedContext context(driver_, index_);
    const Kernel& kernel = *kernels_[static_cast<size_t>(launch.kernel)][type == ElementType::kBFloat16 ? 1 : 0];
    kernel.AllowSharedBytes(driver_, launch.shared_bytes);
    LaunchShape shape;
    shape.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
    shape.block = {launch.threads, 1, 1};
    shape.cluster = {launch.cluster, 1, 1};
    shape.shared_bytes = launch.shared_bytes;
    shape.overlap = launch.overlaps;
    djl_lora::Launch(driver_, kernel, shape, CurrentTorchStream(index_), params);
  }

 private:
  const Driver& driver_;
  const DeviceInfo& info_;
  const int32_t index_;
  std::array<std::array<const Kernel*, 2>, kKernelNames.size()> kernels_{};  // by cuda::SgmvKernel
};

}  // namespace

std::shared_ptr<const SgmvDevice> OpenCudaDevice(int32_t index) { return std::make_shared<CudaDevice>(index); }

}  // namespace djl_lora
