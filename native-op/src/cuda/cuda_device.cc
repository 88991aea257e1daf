// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_device.h"

#include <array>
#include <string>
#include <utility>

#include "common/errors.h"
#include "cuda/launch.h"
#include "cuda/torch_stream.h"

namespace djl_lora {

namespace {

constexpr std::array<const char*, 5> kKernelNames = {"decode_shrink", "decode_expand", "decode_fused", "tile_shrink",
                                                     "tile_expand"};
constexpr int32_t kClusterVersion = 90;  // of the virtual architecture, from which on kernels use clusters

const char* Suffix(ElementType type) { return type == ElementType::kBFloat16 ? "bf16" : "f16"; }

struct Place {
  const Driver& driver;
  const int32_t index;
  const std::function<CuStream()> stream;
};

class CudaKernels : public SgmvKernels {
 public:
  using Find = std::function<const Kernel&(const std::string& name)>;

  // image: what the kernels lie in, kept with them; or null where somebody else keeps it.
  CudaKernels(std::shared_ptr<const Place> place, ElementType type, std::unique_ptr<LoadedImage> image,
              const Find& find)
      : place_(std::move(place)), image_(std::move(image)) {
    for (size_t i = 0; i < kKernelNames.size(); ++i) {
      kernels_[i] = &find(std::string("sgmv_") + kKernelNames[i] + "_" + Suffix(type));
    }
    const Kernel& fused = *kernels_[static_cast<size_t>(cuda::SgmvKernel::kDecodeFused)];
    int32_t version = 0;
    place_->driver.cuFuncGetAttribute(&version, kCuFunctionPtxVersion, fused.function());
    // PTX of an older architecture has no clusters on a newer device either
    clusters_ = fused.device().major >= 9 && version >= kClusterVersion && place_->driver.cuLaunchKernelEx.found();
  }

  bool clusters() const override { return clusters_; }

  void Launch(const cuda::KernelLaunch& launch, const cuda::SgmvParams& params) const override {
    const ScopedContext context(place_->driver, place_->index);
    const Kernel& kernel = *kernels_[static_cast<size_t>(launch.kernel)];
    LaunchShape shape;
    shape.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
    shape.block = {launch.threads, 1, 1};
    shape.cluster = {launch.cluster, 1, 1};
    shape.shared_bytes = launch.shared_bytes;
    shape.overlap = launch.overlaps;
    djl_lora::Launch(place_->driver, kernel, shape, place_->stream(), params);
  }

 private:
  const std::shared_ptr<const Place> place_;
  const std::unique_ptr<LoadedImage> image_;
  std::array<const Kernel*, kKernelNames.size()> kernels_{};  // by cuda::SgmvKernel
  bool clusters_ = false;
};

class Event {
 public:
  explicit Event(const Driver& driver) : driver_(driver) { driver.cuEventCreate(&event_, 0); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { driver_.cuEventDestroy.Try(event_); }

  CuEvent get() const { return event_; }

 private:
  const Driver& driver_;
  CuEvent event_ = nullptr;
};

class CudaDevice : public SgmvDevice {
 public:
  CudaDevice(const Driver& driver, KernelCache* kernels, int32_t index, std::function<CuStream()> stream)
      : place_(new Place{driver, index, std::move(stream)}), info_(driver.device(index)), embedded_(kernels) {}

  TensorPlace place() const override { return {true, place_->index}; }
  int64_t l2_bytes() const override { return info_.l2_bytes; }

  std::shared_ptr<const SgmvKernels> Embedded(ElementType type) const override {
    const ScopedContext context(place_->driver, place_->index);
    const std::string module = std::string("sgmv_") + Suffix(type);
    return std::make_shared<CudaKernels>(
        place_, type, nullptr, [&](const std::string& name) -> const Kernel& { return embedded_->Find(module, name); });
  }

  std::shared_ptr<const SgmvKernels> Load(ElementType type, const void* image) const override {
    const ScopedContext context(place_->driver, place_->index);
    auto loaded = std::make_unique<LoadedImage>(place_->driver, info_, image);
    LoadedImage* const kernels = loaded.get();
    return std::make_shared<CudaKernels>(
        place_, type, std::move(loaded),
        [kernels](const std::string& name) -> const Kernel& { return kernels->Find(name); });
  }

  double Time(const std::function<void()>& work) const override {
    const Driver& driver = place_->driver;
    const ScopedContext context(driver, place_->index);
    CuStream stream = place_->stream();
    int32_t capturing = 0;
    driver.cuStreamIsCapturing(stream, &capturing);
    if (capturing != 0) {
      throw EngineError("kernels cannot be timed while a CUDA graph is captured");
    }
    const Event begin(driver);
    const Event end(driver);
    driver.cuEventRecord(begin.get(), stream);
    work();
    driver.cuEventRecord(end.get(), stream);
    driver.cuEventSynchronize(end.get());
    float milliseconds = 0.0f;
    driver.cuEventElapsedTime(&milliseconds, begin.get(), end.get());
    return 1000.0 * static_cast<double>(milliseconds);
  }

 private:
  const std::shared_ptr<const Place> place_;
  const DeviceInfo& info_;
  KernelCache* const embedded_;
};

}  // namespace

std::shared_ptr<const SgmvDevice> OpenCudaDevice(const Driver& driver, KernelCache* kernels, int32_t index,
                                                 std::function<CuStream()> stream) {
  return std::make_shared<CudaDevice>(driver, kernels, index, std::move(stream));
}

std::shared_ptr<const SgmvDevice> OpenCudaDevice(int32_t index) {
  const Driver& driver = RequireDriver();
  driver.device(index);
  CurrentTorchStream(index);  // refuses where libtorch has no CUDA
  return OpenCudaDevice(driver, &ProcessKernels(), index, [index] { return CurrentTorchStream(index); });
}

}  // namespace djl_lora
